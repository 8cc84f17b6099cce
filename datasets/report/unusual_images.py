"""Images out of the ordinary: dark, bright, blank, blurred, odd in shape, tiny, or unlike all others of their category.

An image is dark, bright or blurred only if it is so by itself and beside the dataset's other images: all digits lie on
black, and all photos of a microscope can be soft.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MAX_DARK, MIN_BRIGHT = 40.0, 215.0  # mean brightness, 0 to 255
MAX_BLANK = 4.0  # contrast, a standard deviation
MAX_BLURRED = 60.0  # variance of the Laplacian
MIN_ODD = 3.0  # the longer side of the file's image divided by the shorter
MAX_TINY = 0.5  # sides of the file's image divided by those in the dataset
MIN_DEVIATION = 3.0  # from the median, in robust standard deviations
MIN_LONELY_DEVIATION = 4.0
MIN_IN_CATEGORY = 8  # images, for a category to have an ordinary distance
MIN_DISTANCE = 0.6  # 1 - cosine, of an image unlike all others
_AS_DEVIATION = 1.4826  # the median deviation of a normal distribution becomes its standard deviation


@dataclass(frozen=True)
class Unusual:
    """The images with one trait, the strongest first, and its measure of each."""

    trait: str
    images: np.ndarray
    values: np.ndarray


def unusual(
    measures: np.ndarray, sizes: np.ndarray | None, shape: tuple[int, int], distances: np.ndarray | None
) -> Iterator[Unusual]:
    """The images with each trait that any has.

    sizes: width and height of each image's file, 0 if unknown. shape: height and width in the dataset. distances: of
    each image from the nearest other one of its category, 1 - cosine; 2 without another one.
    """
    brightness, contrast = measures["brightness"], measures["contrast"]
    blank = contrast <= MAX_BLANK
    sharpness = np.log10(measures["sharpness"] + 1e-3)
    far = _deviations(brightness)
    yield from _found("blank", blank, contrast)
    yield from _found("dark", ~blank & (brightness <= MAX_DARK) & (far <= -MIN_DEVIATION), brightness)
    yield from _found("bright", ~blank & (brightness >= MIN_BRIGHT) & (far >= MIN_DEVIATION), -brightness)
    blurred = ~blank & (measures["sharpness"] <= MAX_BLURRED) & (_deviations(sharpness) <= -MIN_DEVIATION)
    yield from _found("blurred", blurred, measures["sharpness"])
    if sizes is not None:
        yield from _of_sizes(sizes, shape)
    if distances is not None:
        yield from _found("lonely", ~blank & _is_lonely(distances, measures["category"]), -distances)


def _of_sizes(sizes: np.ndarray, shape: tuple[int, int]) -> Iterator[Unusual]:
    known = (sizes > 0).all(axis=1)
    width, height = np.maximum(sizes, 1).astype(np.float64).T
    ratio = np.maximum(width / height, height / width)
    odd = known & (ratio >= MIN_ODD) & (_deviations(np.log(ratio)) >= MIN_DEVIATION)
    yield from _found("odd_shape", odd, -ratio)
    scale = np.maximum(width / shape[1], height / shape[0])
    yield from _found("tiny", known & (scale <= MAX_TINY), scale)


def _found(trait: str, has_trait: np.ndarray, strength: np.ndarray) -> Iterator[Unusual]:
    images = np.flatnonzero(has_trait)
    if len(images):
        images = images[np.argsort(strength[images], kind="stable")]
        yield Unusual(trait, images, np.abs(strength[images]))


def _deviations(values: np.ndarray) -> np.ndarray:
    """How many robust standard deviations each value is from the median."""
    median = np.median(values)
    spread = _AS_DEVIATION * np.median(np.abs(values - median))
    return (values - median) / max(float(spread), 1e-6)


def _is_lonely(distances: np.ndarray, categories: np.ndarray) -> np.ndarray:
    lonely = np.zeros(len(distances), bool)
    order = np.argsort(categories, kind="stable")
    for images in np.split(order, np.flatnonzero(np.diff(categories[order])) + 1):
        if len(images) >= MIN_IN_CATEGORY:
            of_category = distances[images]
            lonely[images] = (of_category >= MIN_DISTANCE) & (_deviations(of_category) >= MIN_LONELY_DEVIATION)
    return lonely
