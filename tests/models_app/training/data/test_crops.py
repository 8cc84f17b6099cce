"""Crops: training takes a random window of each image, validation and inference take the middle."""

from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.networks import Layer, Network
from models_app.networks.export.network_onnx import write_onnx
from models_app.training.data import pixels
from models_app.training.data.batch_reader import training_batches, validation_batches
from models_app.training.data.crops import InputLayout, centred, layout_of
from models_app.training.data.mean_pixels import read_mean
from models_app.training.data.pixel_file import PixelFile
from models_app.training.data.pixels import Records, open_images
from models_app.training.trainer import train
from tests.models_app.networks.test_onnx_layers import onnx_outputs
from tests.support.samples.engine_samples import engine_of
from tests.support.samples.network_samples import chain
from tests.support.samples.training_samples import (
    config_of,
    events_of_kind,
    snapshot_weights,
    softmax_network,
    write_digits_dataset,
    write_records,
)

COUNT, BATCH = 10, 4
WHOLE, WINDOW = (3, 9, 12), (3, 4, 6)
LAYOUT = InputLayout(WHOLE, WINDOW, mirror=True, categories=COUNT)


def numbered():
    """uint8, N×C×H×W: each pixel holds the number of its image, its row and its column, so a window shows its place."""
    image, row, column = np.meshgrid(range(COUNT), range(WHOLE[1]), range(WHOLE[2]), indexing="ij")
    return np.stack([image, row, column], axis=1).astype(np.uint8)


@pytest.fixture
def records(tmp_path):
    return write_records(tmp_path / "train.rec", numbered().transpose(0, 2, 3, 1), range(COUNT))


@pytest.fixture(params=[True, False], ids=["kept decoded", "decoded each time"])
def images(records, request, monkeypatch):
    """The open records, read from the file of decoded images or decoded each time."""
    monkeypatch.setattr(pixels, "MAX_BYTES", request.param * pixels.MAX_BYTES)
    with closing(open_images(records, LAYOUT, threads=2, tick=lambda: None)) as images:
        assert isinstance(images, PixelFile if request.param else Records)
        yield images


def windows_of(images, count, seed=1, start=0):
    """The image, top row and left column of each window in the first batches, and whether it is flipped; asserts that
    all of its pixels are right."""
    found = []
    with closing(training_batches(images, BATCH, seed, start)) as batches:
        for batch in islice(batches, count):
            for window, label in zip(batch.images, batch.labels, strict=True):
                flipped = window[2, 0, 0] > window[2, 0, -1]
                straight = window[:, :, ::-1] if flipped else window
                number, top, left = straight[:, 0, 0].tolist()
                assert (straight == numbered()[number, :, top : top + WINDOW[1], left : left + WINDOW[2]]).all()
                assert label == number
                found.append((number, top, left, bool(flipped)))
    return found


def test_training_takes_every_window_and_flips_half_of_them(images):
    taken = windows_of(images, 150)
    assert {top for _, top, _, _ in taken} == set(range(WHOLE[1] - WINDOW[1] + 1))
    assert {left for _, _, left, _ in taken} == set(range(WHOLE[2] - WINDOW[2] + 1))
    assert 0.4 < np.mean([flipped for *_, flipped in taken]) < 0.6


def test_the_window_of_an_image_depends_on_seed_and_epoch(images):
    first = windows_of(images, 6)
    assert first == windows_of(images, 6)
    assert sorted(first[:COUNT]) != sorted(first[12 : 12 + COUNT])
    assert sorted(first[:COUNT]) != sorted(windows_of(images, 3, seed=2)[:COUNT])


@pytest.mark.parametrize("start", [1, 3, 5])
def test_a_resumed_training_takes_the_same_windows(images, start):
    assert windows_of(images, 4, start=start) == windows_of(images, start + 4)[start * BATCH :]


def test_windows_depend_on_seed_epoch_and_place_and_not_on_the_batch_size():
    alone = [LAYOUT.at_random(7, 2, place, 1)[0] for place in range(12)]
    assert alone == LAYOUT.at_random(7, 2, 0, 12) == LAYOUT.at_random(7, 2, 0, 5) + LAYOUT.at_random(7, 2, 5, 7)


def test_no_image_is_flipped_without_mirror(records):
    layout = replace(LAYOUT, mirror=False)
    with closing(open_images(records, layout, threads=1, tick=lambda: None)) as images:
        assert not any(flipped for *_, flipped in windows_of(images, 20))


def test_mirror_without_a_crop_flips_whole_images(records):
    layout = replace(LAYOUT, input_shape=WHOLE)
    with (
        closing(open_images(records, layout, threads=1, tick=lambda: None)) as images,
        closing(training_batches(images, COUNT, 1)) as batches,
    ):
        batch = next(batches)
    order = batch.labels.astype(int)
    flipped = (batch.images == numbered()[order][:, :, :, ::-1]).all(axis=(1, 2, 3))
    straight = (batch.images == numbered()[order]).all(axis=(1, 2, 3))
    assert (flipped ^ straight).all()
    assert 0 < flipped.sum() < COUNT


def test_validation_takes_the_middle_window_rounded_down_as_caffe_does(images):
    expected = numbered()[:, :, 2:6, 3:9]
    batches = [(batch.images.copy(), batch.labels.copy()) for batch in validation_batches(images, BATCH)]
    assert (np.concatenate([b for b, _ in batches])[:COUNT] == expected).all()
    assert np.concatenate([labels for _, labels in batches])[:COUNT].tolist() == list(range(COUNT))


def test_no_window_is_chosen_if_the_network_takes_whole_images():
    whole = InputLayout(WHOLE, WHOLE)
    assert whole.centre(3) is None
    assert whole.at_random(1, 0, 0, 3) is None


@pytest.mark.parametrize("image_shape", [(1, 9, 9), (3, 7, 9), (3, 9, 7)])
def test_images_that_are_too_small_for_the_network_are_refused(image_shape):
    with pytest.raises(BadInput, match="the network takes 3×8×8, but the images are "):
        layout_of(chain(("ReLU", {})), image_shape, 2)


@pytest.mark.usefixtures("engine_name")
@pytest.mark.parametrize(
    "mean, expected",
    [
        ("none", lambda whole: 0),
        ("image", lambda whole: centred(whole, (1, 8, 8))),
        ("pixel", lambda whole: whole.mean()),  # of the whole image, as DIGITS does
    ],
)
def test_engine_and_onnx_subtract_the_same_mean_from_the_middle_window(mean, expected, tmp_path):
    rng = np.random.default_rng(0)
    whole = rng.uniform(0, 255, (1, 11, 12)).astype(np.float32)
    np.save(tmp_path / "mean.npy", whole)
    network = chain(("Power", {"scale": 0.01}), input_shape=(1, 8, 8))
    config = config_of(tmp_path, tmp_path, image_shape=(1, 11, 12), use_mean=mean)
    subtracted = read_mean(config, layout_of(network, config.image_shape, 10))
    images = rng.integers(0, 256, (3, 1, 11, 12), dtype=np.uint8)
    middle = centred(images, (1, 8, 8))
    write_onnx(network, {}, tmp_path / "model.onnx", subtracted, [], image_shape=(1, 11, 12))
    got = onnx_outputs(tmp_path / "model.onnx", images)["power1"]
    np.testing.assert_allclose(got, (middle - expected(whole)) * 0.01, atol=1e-5)
    np.testing.assert_allclose(engine_of(network, mean=subtracted).forward(middle)["power1"], got, atol=1e-5)


def with_crop(network: Network, size: int) -> Network:
    data = Layer("data", "Data", (), ("data", "label"), {"crop_size": size, "mirror": True})
    return replace(network, layers=(data, *network.layers[1:]))


@pytest.mark.usefixtures("engine_name")
def test_a_training_with_crops_gives_the_same_bits_in_a_second_and_in_a_resumed_run(tmp_path):
    dataset = write_digits_dataset(tmp_path)
    network = with_crop(softmax_network(input_shape=(1, 6, 6)), 6).to_dict()
    fields = {"network": network, "image_shape": (1, 8, 8), "snapshot_interval": 0.75}
    runs = {name: config_of(dataset, tmp_path / name, **fields) for name in ("once", "again")}
    resume_from = str(tmp_path / "once" / "snapshots" / "epoch-0.75")
    runs["rest"] = config_of(dataset, tmp_path / "rest", **fields, resume_from=resume_from)
    for name, config in runs.items():
        events = []
        train(config, events.append, lambda: None)
        assert all(event["max_difference"] < 1e-4 for event in events_of_kind(events, "snapshot")), name
    once, again, rest = (snapshot_weights(Path(c.directory) / "snapshots" / "epoch-2") for c in runs.values())
    assert (once["ip.weight"] == again["ip.weight"]).all()
    assert (once["ip.weight"] == rest["ip.weight"]).all()
