"""Augmented batches are functions of seed, epoch and position, with any threads, from any point of a resume."""

from contextlib import closing
from itertools import islice

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.training.augmentation.augmenter import open_augmenter
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.operation_registry import Operation, register
from models_app.training.augmentation.operations import OPERATIONS, ORDER
from models_app.training.augmentation.streams import generator, uniforms
from models_app.training.augmentation.views import View
from models_app.training.data.batch_reader import batches_per_epoch, epoch_order, training_batches
from models_app.training.data.crops import InputLayout
from models_app.training.hyperparameters import Hyperparameters
from tests.support.samples.augmentation_samples import (
    CATEGORIES,
    EVERYTHING,
    HSV,
    augmented,
    augmenter_of,
    images_of,
    noise_images,
)
from tests.support.samples.training_samples import softmax_network

BATCH = 8
ALL = EVERYTHING | HSV


def batches(images, count, start=0, threads=1, seed=1, **settings):
    """Copies of the images and labels of `count` batches of a training."""
    augmenter = augmenter_of(images, seed, threads, **settings)
    reading = training_batches(images, BATCH, seed, start, augmenter)
    with closing(augmenter), closing(reading):
        return [(batch.images.copy(), batch.labels.copy()) for batch in islice(reading, count)]


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def images():
    """Twenty images, from which crops are taken: an epoch has two batches and a half."""
    return images_of(noise_images(20, (3, 14, 14)), input_shape=(3, 12, 12), mirror=True)


def test_batches_do_not_depend_on_the_number_of_threads(images):
    assert_same(batches(images, 5, threads=1, **ALL), batches(images, 5, threads=3, **ALL))


@pytest.mark.parametrize("start", [1, 2, 3, 7])
def test_a_resumed_training_gets_the_same_batches_with_everything_on(images, start):
    assert_same(batches(images, 3, start=start, **ALL), batches(images, start + 3, **ALL)[start:])


def test_batches_differ_by_seed_and_by_epoch(images):
    per_epoch = batches_per_epoch(len(images), BATCH)
    first, second = batches(images, 1, **ALL)[0][0], batches(images, 1, seed=2, **ALL)[0][0]
    assert not np.array_equal(first, second)
    changed = [augmented(noise_images(4), epoch=epoch, aug_noise=0.1)[0] for epoch in (0, 1)]
    assert not np.array_equal(*changed)
    assert per_epoch == 3


@pytest.mark.parametrize("name", [operation.name for operation in ORDER])
def test_the_numbers_of_an_operation_do_not_depend_on_where_a_batch_begins(name):
    operation = OPERATIONS[name]
    whole = uniforms(1, 2, operation.stream, 0, 50, operation.numbers)
    assert np.array_equal(whole[30:34], uniforms(1, 2, operation.stream, 30, 4, operation.numbers))


def test_every_operation_has_a_stream_of_its_own():
    streams = [operation.stream for operation in ORDER]
    numbers = {stream: uniforms(1, 0, stream, 0, 1, 1).item() for stream in streams}
    assert len(set(numbers.values())) == len(streams)
    with pytest.raises(ValueError, match="the stream 2 of the operation other is taken"):
        register(Operation("other", 2, 0, lambda settings: False, lambda settings, drawn, view: None))
    assert "other" not in OPERATIONS


def test_a_further_operation_leaves_the_random_numbers_of_the_others():
    frames = []
    for settings in (Augmentation(aug_rot=30), Augmentation(aug_rot=30, aug_noise=0.1, random_erasing=1)):
        view = View(InputLayout((3, 9, 9), (3, 9, 9)), generator=None)
        for operation in OPERATIONS.values():
            if operation.is_on(settings):
                operation.change(settings, uniforms(5, 0, operation.stream, 3, 1, operation.numbers)[0], view)
        frames.append(view.frame)
    assert np.array_equal(*frames)


def test_generators_of_pixels_differ_by_operation_and_position():
    drawn = {(s, p): generator(1, 0, s, p).integers(1 << 60) for s in (12, 13) for p in range(50)}
    assert len(set(drawn.values())) == 100


def test_crops_and_flips_of_old_seeds_stay_as_they_were():
    windows = InputLayout((3, 12, 12), (3, 8, 8), mirror=True).at_random(seed=7, epoch=2, first=5, images=4)
    bits = np.random.PCG64(np.random.SeedSequence([7, 2, 1]))
    bits.advance(15)
    drawn = np.random.Generator(bits).random((4, 3))
    assert [tuple(window) for window in windows] == [(int(a * 5), int(b * 5), c < 0.5) for a, b, c in drawn]


def test_without_augmentation_there_is_no_augmenter_and_batches_are_read_as_they_are():
    images = images_of(noise_images(20))
    assert open_augmenter(Augmentation(), softmax_network(CATEGORIES), images.layout, 1, 1) is None
    reading = training_batches(images, BATCH, 1)
    with closing(reading):
        labels = next(reading).labels.copy()
    assert labels.tolist() == [number % CATEGORIES for number in epoch_order(len(images), 1, 0)[:BATCH]]


@pytest.mark.parametrize("settings", [ALL, HSV, {"mixup": 0.5}, {"cutmix": 1.0}, {"aug_policy": "light"}])
@pytest.mark.parametrize("position", [0, 3, 7, 8, 17, 19])
def test_a_single_image_is_the_one_of_the_batch_pixel_by_pixel(images, settings, position):
    per_epoch = batches_per_epoch(len(images), BATCH)
    epoch = 1
    read = batches(images, per_epoch, start=per_epoch * epoch, **settings)
    augmenter = augmenter_of(images, **settings)
    with closing(augmenter):
        order = epoch_order(len(images), 1, epoch)
        pixels, label = augmenter.image_at(images, order, epoch, position, BATCH)
    in_batch, labels = read[position // BATCH]
    assert np.array_equal(pixels, in_batch[position % BATCH])
    np.testing.assert_array_equal(label, labels[position % BATCH])


def test_mixup_mixes_an_image_and_its_label_with_the_next_in_the_batch():
    pixels = noise_images(6, (3, 9, 9))
    changed, labels = augmented(pixels, mixup=0.5)
    for place in range(6):
        other = (place + 1) % 6
        share = labels[place, place]
        assert labels[place].sum() == pytest.approx(1)
        assert labels[place, other] == pytest.approx(1 - share, abs=1e-6)
        np.testing.assert_allclose(
            changed[place], share * pixels[place].astype(float) + (1 - share) * pixels[other], atol=0.51
        )


def test_cutmix_takes_a_rectangle_of_the_next_image_and_mixes_the_labels_by_its_area():
    pixels = np.stack([np.full((3, 20, 20), value, np.uint8) for value in range(6)])
    changed, labels = augmented(pixels, cutmix=1.0)
    for place, image in enumerate(changed):
        assert set(np.unique(image)) <= {place, (place + 1) % 6}
        assert labels[place, place] == pytest.approx((image == place).mean(), abs=1e-6)
        assert labels[place].sum() == pytest.approx(1)
    assert len({label.max() for label in labels}) > 3


def test_with_mixup_and_cutmix_an_image_gets_one_of_them():
    pixels = np.stack([np.full((3, 20, 20), 40 * (number % 6), np.uint8) for number in range(200)])
    changed, _ = augmented(pixels, mixup=1.0, cutmix=1.0)
    blended = np.array([len(np.unique(image)) == 1 for image in changed])
    assert 0.35 < blended.mean() < 0.7


def test_label_smoothing_spreads_a_share_of_each_label_over_all_categories():
    _, labels = augmented(noise_images(3), label_smoothing=0.2)
    expected = np.full((3, CATEGORIES), 0.02, np.float32) + 0.8 * np.eye(3, CATEGORIES, dtype=np.float32)
    np.testing.assert_allclose(labels, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "settings, shape, message",
    [
        ({"aug_hsv_use": True}, (1, 8, 8), "aug_hsv_use needs images of red, green and blue; these have 1 channels"),
        ({"aug_quad_rot": "rot90"}, (3, 8, 6), "they must be square; these are 6×8; rot180 is possible"),
        ({"aug_quad_rot": "rotall"}, (3, 8, 6), "they must be square; these are 6×8; rot180 is possible"),
    ],
)
def test_images_that_cannot_be_augmented_so_are_refused(settings, shape, message):
    with pytest.raises(BadInput, match=message):
        augmenter_of(images_of(noise_images(2, shape)), **settings)


OUT_OF_RANGE = {
    "aug_flip": "flip", "aug_quad_rot": "rot45", "aug_rot": 181, "aug_scale": 1.5, "aug_noise": -0.1, "aug_contrast": 6,
    "aug_whitening": 2, "aug_hsv_use": 2, "aug_hsv_h": 0.6, "aug_hsv_s": -1, "aug_hsv_v": 0.51, "aug_crop_scale": 1.1,
    "aug_crop_ratio": 0.9, "aug_policy": "heavy", "aug_magnitude": 31, "random_erasing": 1.01, "mixup": -1,
    "cutmix": 101, "label_smoothing": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_by_name(name):
    with pytest.raises(BadInput, match=f"^{name} must be"):
        Hyperparameters(batch_size=1, **{name: OUT_OF_RANGE[name]})


def test_every_hyperparameter_of_augmentation_has_a_range():
    assert set(OUT_OF_RANGE) == set(Augmentation.__dataclass_fields__)
