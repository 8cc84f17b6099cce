"""Noise, contrast, shifts of hue, saturation and value, erasing and policies, proven on pixels."""

import colorsys

import numpy as np
import pytest

from models_app.training.augmentation import colours
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.hsv import shifted
from models_app.training.augmentation.operations import OPERATIONS
from models_app.training.augmentation.policies import CHOICES
from models_app.training.augmentation.streams import normal, uniforms
from models_app.training.augmentation.views import ColourMatrix, View
from models_app.training.data.crops import InputLayout, Window
from tests.support.samples.augmentation_samples import augmented, noise_images, smooth_images

GREY = np.full((40, 3, 32, 32), 128, np.uint8)


@pytest.mark.parametrize("deviation", [0.02, 0.1])
def test_noise_has_the_standard_deviation_of_the_setting_and_no_mean(deviation):
    changed, _ = augmented(GREY, aug_noise=deviation)
    difference = changed.astype(float) - 128
    assert difference.std() == pytest.approx(deviation * 255, rel=0.02)
    assert abs(difference.mean()) < 0.2
    assert abs(np.corrcoef(difference[0].ravel(), difference[1].ravel())[0, 1]) < 0.05


def test_noise_saturates_at_black_and_white():
    black_and_white = np.concatenate([np.zeros_like(GREY[:1]), np.full_like(GREY[:1], 255)])
    changed, _ = augmented(black_and_white, aug_noise=0.2)
    assert (changed[0] == 0).mean() == pytest.approx(0.5, abs=0.05)
    assert (changed[1] == 255).mean() == pytest.approx(0.5, abs=0.05)


def test_contrast_multiplies_each_channels_distance_from_its_mean_by_a_factor_in_the_range():
    pixels = (smooth_images(60, (3, 16, 16)) // 4 + 96).astype(np.uint8)
    changed, _ = augmented(pixels, aug_contrast=0.5)
    spreads = changed.std(axis=(2, 3)) / pixels.std(axis=(2, 3))
    np.testing.assert_allclose(changed.mean(axis=(2, 3)), pixels.mean(axis=(2, 3)), atol=0.5)
    assert np.ptp(spreads, axis=1).max() < 0.06  # one factor for all channels
    assert 0.45 < spreads.min() < 0.65
    assert 1.35 < spreads.max() < 1.55


@pytest.mark.parametrize(
    "hue, saturation, value", [(0.2, 0, 0), (-0.45, 0, 0), (0, 0.3, 0), (0, -0.3, 0.2), (0.1, 0.1, -0.1)]
)
def test_shifts_of_hue_saturation_and_value_are_those_of_colorsys(hue, saturation, value):
    image = noise_images(1, (3, 8, 8))[0]
    changed = image.copy()
    shifted(changed, hue, saturation, value)
    for before, after in zip(image.reshape(3, -1).T / 255, changed.reshape(3, -1).T, strict=True):
        h, s, v = colorsys.rgb_to_hsv(*before)
        expected = colorsys.hsv_to_rgb((h + hue) % 1, min(max(s + saturation, 0), 1), min(max(v + value, 0), 1))
        np.testing.assert_allclose(after, np.array(expected) * 255, atol=0.51)


def test_shifts_of_zero_change_no_pixel():
    image = noise_images(1)[0]
    changed = image.copy()
    shifted(changed, 0, 0, 0)
    assert np.array_equal(changed, image)


def test_normal_numbers_have_mean_0_and_standard_deviation_1():
    numbers = [normal(number) for number in uniforms(1, 0, 99, 0, 20_000, 1).ravel()]
    assert np.mean(numbers) == pytest.approx(0, abs=0.02)
    assert np.std(numbers) == pytest.approx(1, rel=0.02)
    assert np.isfinite(normal(0.0))


def test_consecutive_changes_of_colours_are_computed_as_one_and_rounded_once():
    image = smooth_images(1)[0]
    view = View(InputLayout(image.shape, image.shape), generator=None)
    for adjust in (colours.brightness(0.8), colours.contrast(1.2), colours.saturation(0.5)):
        view.adjust(adjust)
    [step] = view.steps
    changed = image.copy()
    step(changed)
    expected = image.astype(float) * 0.8
    grey = np.tensordot(colours.GREY, expected, 1)
    expected = (expected - grey.mean()) * 1.2 + grey.mean()
    grey = np.tensordot(colours.GREY, expected, 1)
    expected = grey + 0.5 * (expected - grey)
    assert isinstance(step, ColourMatrix)
    np.testing.assert_allclose(changed, np.clip(expected, 0, 255), atol=0.51)


def test_an_image_of_one_channel_has_no_saturation():
    image = noise_images(1, (1, 8, 8))[0]
    changed = image.copy()
    ColourMatrix([colours.saturation(0.1)])(changed)
    assert np.array_equal(changed, image)


def test_erasing_replaces_a_rectangle_in_the_share_of_images_that_the_setting_says():
    pixels = np.full((600, 3, 30, 30), 77, np.uint8)
    changed, _ = augmented(pixels, random_erasing=0.3)
    touched = (changed != 77).any(axis=1)
    areas = []
    for image in touched[touched.any(axis=(1, 2))]:
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        areas.append(box.size / image.size)
        assert box.mean() > 0.9  # of noise hardly a pixel is as it was
    assert touched.any(axis=(1, 2)).mean() == pytest.approx(0.3, abs=0.06)
    assert 0.015 < min(areas) < 0.05
    assert 0.25 < max(areas) < 0.36


@pytest.mark.parametrize("policy, numbers", [("light", 8), ("trivialaugment", 3), ("randaugment", 6)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_policy_changes_images_and_leaves_their_shape(policy, numbers, channels):
    pixels = smooth_images(40, (channels, 24, 24))
    changed, _ = augmented(pixels, aug_policy=policy)
    different = (changed != pixels).any(axis=(1, 2, 3))
    assert OPERATIONS[policy].numbers == numbers
    assert different.mean() > 0.7
    assert changed.shape == pixels.shape


@pytest.mark.parametrize("choice", range(1, len(CHOICES)))
def test_every_operation_of_the_policies_changes_an_image(choice):
    image = smooth_images(1)[0] // 2 + np.uint8(20)
    view = View(InputLayout(image.shape, image.shape), generator=None)
    CHOICES[choice].change(view, CHOICES[choice].narrow)
    changed = np.zeros_like(image)
    view.render(image, Window(0, 0, flipped=False), changed)
    assert not np.array_equal(changed, image)


def test_the_strength_of_randaugment_grows_with_the_magnitude():
    pixels = smooth_images(60)
    distances = [
        np.abs(augmented(pixels, aug_policy="randaugment", aug_magnitude=magnitude)[0].astype(int) - pixels).mean()
        for magnitude in (1, 10, 30)
    ]
    assert distances[0] < distances[1] < distances[2]


def test_light_flips_crops_and_jitters_only_a_little():
    settings = Augmentation(aug_policy="light")
    operation = OPERATIONS["light"]
    parts, flips = [], []
    for numbers in uniforms(1, 0, operation.stream, 0, 1000, operation.numbers):
        view = View(InputLayout((3, 100, 100), (3, 50, 50)), generator=None)
        operation.change(settings, numbers, view)
        parts.append(view.part)
        flips.append(view.frame[0, 0] < 0)
    areas = np.array([width * height / 1e4 for _, _, width, height in parts])
    assert 0.4 < areas.min() < 0.55
    assert areas.max() <= 1
    assert np.mean(flips) == pytest.approx(0.5, abs=0.05)
    changed, _ = augmented(GREY, aug_policy="light")
    assert np.abs(changed.astype(int) - 128).max() <= 128 * 0.21
