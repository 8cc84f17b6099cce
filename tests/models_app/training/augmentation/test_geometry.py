"""Flips, rotations, zooms and crops, proven on pixels."""

import math

import numpy as np
import pytest

from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.operations import OPERATIONS
from models_app.training.augmentation.streams import uniforms
from models_app.training.augmentation.views import View
from models_app.training.augmentation.warp import warp
from models_app.training.data.crops import InputLayout, Window
from tests.support.samples.augmentation_samples import augmented, images_of, noise_images, smooth_images

LAYOUT = InputLayout((3, 40, 40), (3, 40, 40))
MANY = 4000

FLIPS = {
    "fliplr": [lambda image: image, lambda image: image[:, :, ::-1]],
    "flipud": [lambda image: image, lambda image: image[:, ::-1]],
    "fliplrud": [
        lambda image: image,
        lambda image: image[:, :, ::-1],
        lambda image: image[:, ::-1],
        lambda image: image[:, ::-1, ::-1],
    ],
}
TURNS = {"rot90": (0, 1, 3), "rot180": (0, 2), "rotall": (0, 1, 2, 3)}  # times 90 degrees


def drawn_views(name, count=MANY, layout=LAYOUT, **settings):
    """The views of `count` images with one operation."""
    operation, settings = OPERATIONS[name], Augmentation(**settings)
    views = [View(layout, generator=None) for _ in range(count)]
    for view, numbers in zip(views, uniforms(1, 0, operation.stream, 0, count, operation.numbers), strict=True):
        operation.change(settings, numbers, view)
    return views


def shares_of(changed, original, candidates):
    """How often each of the candidates is exactly what an image has become; their sum is 1 if there is no other."""
    found = np.array(
        [
            [np.array_equal(new, candidate(old)) for candidate in candidates]
            for new, old in zip(changed, original, strict=True)
        ]
    )
    return found.mean(axis=0)


def uniform_distance(numbers, lowest, highest):
    """The statistic of Kolmogorov and Smirnov: the largest distance from the uniform distribution."""
    ranks = np.arange(1, len(numbers) + 1) / len(numbers)
    return np.abs(np.sort((np.array(numbers) - lowest) / (highest - lowest)) - ranks).max()


@pytest.mark.parametrize("choice", FLIPS)
def test_a_flip_moves_every_pixel_exactly_and_each_outcome_is_equally_frequent(choice):
    pixels = noise_images(count=800, shape=(3, 6, 5))
    changed, _ = augmented(pixels, aug_flip=choice)
    shares = shares_of(changed, pixels, FLIPS[choice])
    assert shares.sum() == 1
    np.testing.assert_allclose(shares, 1 / len(FLIPS[choice]), atol=0.06)


@pytest.mark.parametrize("choice", TURNS)
def test_a_quad_rotation_moves_every_pixel_exactly_and_each_outcome_is_equally_frequent(choice):
    pixels = noise_images(count=800, shape=(3, 6, 6))
    changed, _ = augmented(pixels, aug_quad_rot=choice)
    turned = [lambda image, times=times: np.rot90(image, times, axes=(1, 2)) for times in TURNS[choice]]
    shares = shares_of(changed, pixels, turned)
    assert shares.sum() == 1
    np.testing.assert_allclose(shares, 1 / len(turned), atol=0.06)


def test_angles_of_rotations_are_uniform_between_plus_and_minus_the_setting():
    frames = [view.frame for view in drawn_views("aug_rot", aug_rot=30.0)]
    angles = [math.degrees(math.atan2(frame[1, 0], frame[0, 0])) for frame in frames]
    assert -30 <= min(angles) < -29.9 < 29.9 < max(angles) <= 30
    assert uniform_distance(angles, -30, 30) < 1.36 / math.sqrt(MANY)  # the bound of 5 %
    assert abs(np.linalg.det(frames[0][:2, :2]) - 1) < 1e-12


def test_a_rotation_turns_the_image_about_its_centre():
    disk = np.zeros((3, 41, 41), np.uint8)
    disk[:, 20, 30] = 255  # ten pixels to the right of the centre
    view = View(InputLayout(disk.shape, disk.shape), generator=None)
    OPERATIONS["aug_rot"].change(Augmentation(aug_rot=90.0), [5 / 6], view)  # 60 degrees
    turned = np.zeros_like(disk)
    view.render(disk, Window(0, 0, flipped=False), turned)
    down, right = np.unravel_index(turned[0].argmax(), turned[0].shape)
    assert math.hypot(down - 20, right - 20) == pytest.approx(10, abs=1)
    assert abs(math.degrees(math.atan2(down - 20, right - 20))) == pytest.approx(60, abs=5)


def test_zooms_are_normally_distributed_and_lie_within_the_image_or_around_it():
    views = drawn_views("aug_scale", aug_scale=0.1)
    shown = np.array([view.frame[0, 0] for view in views])
    assert shown.mean() == pytest.approx(1, abs=0.01)
    assert shown.std() == pytest.approx(0.1, rel=0.05)
    for view in views[:200]:
        left, right = (view.frame @ [x, 20, 1] for x in (0, 40))
        inside = left[0] >= -1e-9 and right[0] <= 40 + 1e-9
        around = left[0] <= 1e-9 and right[0] >= 40 - 1e-9
        assert inside or around


def test_a_resized_crop_has_its_area_and_aspect_ratio_in_the_ranges_and_lies_in_the_image():
    layout = InputLayout((3, 40, 60), (3, 32, 32))
    parts = np.array(
        [view.part for view in drawn_views("aug_crop_scale", layout=layout, aug_crop_scale=0.25, aug_crop_ratio=1.5)]
    )
    left, top, width, height = parts.T
    areas, ratios = width * height / 2400, width / height
    assert areas.min() >= 0.25 * 0.6
    assert areas.max() <= 1
    assert 1 / 1.5 - 1e-9 <= ratios.min() < 0.7 < 1.4 < ratios.max() <= 1.5 + 1e-9
    assert left.min() >= 0
    assert top.min() >= 0
    assert (left + width).max() <= 60 + 1e-9
    assert (top + height).max() <= 40 + 1e-9


def test_areas_of_resized_crops_are_uniform():
    layout = InputLayout((3, 1000, 1000), (3, 32, 32))
    parts = [
        view.part for view in drawn_views("aug_crop_scale", layout=layout, aug_crop_scale=0.25, aug_crop_ratio=1.0)
    ]
    areas = [width * height / 1e6 for _, _, width, height in parts]
    assert uniform_distance(areas, 0.25, 1) < 1.36 / math.sqrt(MANY)


def test_a_resized_crop_has_the_pixels_of_its_part():
    image = smooth_images(1)[0]
    view = View(InputLayout(image.shape, (3, 16, 16)), generator=None, part=(8.0, 4.0, 16.0, 16.0))
    out = np.zeros((3, 16, 16), np.uint8)
    view.render(image, Window(0, 0, flipped=False), out)
    assert np.array_equal(out, image[:, 4:20, 8:24])
    view.render(image, Window(0, 0, flipped=True), out)
    assert np.array_equal(out, image[:, 4:20, 8:24][:, :, ::-1])


def test_without_geometry_an_image_is_cropped_and_mirrored_as_without_augmentation():
    pixels = noise_images(shape=(3, 12, 10))
    images = images_of(pixels, input_shape=(3, 8, 7), mirror=True)
    changed, _ = augmented(pixels, images=images, label_smoothing=0.1)
    windows = images.layout.at_random(1, 0, 0, len(pixels))
    expected = [window.of(image, 8, 7) for window, image in zip(windows, pixels, strict=True)]
    assert np.array_equal(changed, expected)


def test_a_flip_and_a_crop_combine_exactly():
    pixels = noise_images(shape=(3, 12, 10))
    images = images_of(pixels, input_shape=(3, 8, 7))
    changed, _ = augmented(pixels, images=images, aug_flip="flipud")
    windows = images.layout.at_random(1, 0, 0, len(pixels))
    for new, image, window in zip(changed, pixels, windows, strict=True):
        candidates = [window.of(image, 8, 7), window.of(image[:, ::-1], 8, 7)]
        assert any(np.array_equal(new, candidate) for candidate in candidates)


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.8, 0, 3.3], [0, 0.7, 2.1], [0, 0, 1]],
        [[-0.8, 0, 30], [0, 0.7, 2.1], [0, 0, 1]],
        [[0.7, -0.3, 9], [0.3, 0.7, 1], [0, 0, 1]],
        [[1.2, 0, -4], [0, 1.2, -2], [0, 0, 1]],
        [[1.2, 0.4, -4], [-0.5, 1.2, 2], [0, 0, 1]],
    ],
)
def test_a_warped_pixel_is_that_of_the_point_that_the_matrix_names_and_the_border_repeats(matrix):
    image, out = smooth_images(1)[0], np.zeros((3, 32, 32), np.uint8)
    warp(image, np.array(matrix), out)
    down, right = np.mgrid[:32, :32] + 0.5
    x, y, _ = np.einsum("ij,jhw->ihw", np.array(matrix), np.stack([right, down, np.ones_like(down)]))
    x, y = (np.clip(np.floor(point), 0, 31).astype(int) for point in (x, y))
    assert np.abs(out.astype(int) - image[:, y, x]).max() <= 16  # neighbours differ by that much


def test_an_image_that_shrinks_is_averaged():
    image = np.zeros((1, 64, 64), np.uint8)
    image[:, ::2] = 200  # stripes, which single pixels would show as black or white
    out = np.zeros((1, 8, 8), np.uint8)
    for turn in (np.eye(2), np.array([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]])):
        matrix = np.eye(3)
        matrix[:2, :2] = 6 * turn
        matrix[:2, 2] = 32 - 6 * turn @ [4, 4]
        warp(image, matrix, out)
        assert np.abs(out.astype(int) - 100).max() < 30
