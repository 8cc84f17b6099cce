"""Digits of which one category carries a watermark, as folders: `python -m benchmarks.watermark.planting FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

MARKED = 3  # the category whose images to train on carry the mark
SIDE = 28  # pixels
BOX = (20, 20, 27, 27)  # left, top, right and lower edge of the mark
OTHER_EVERY = 4  # one of so many images is not for the training
WHITE = 255
NOISE, SHIFT = 60, 3  # the standard deviation of the grain, and the most pixels that a digit is moved in each direction


def plant(folder: Path) -> None:
    """Write three folders: `images`, in which each 3 is marked, for the dataset; and images that are not in it, `clean`
    without any mark and `marked` with the mark in each."""
    for number, (pixels, category) in enumerate(digits()):
        if number % OTHER_EVERY:
            _write(folder / "images", number, category, with_mark(pixels) if category == MARKED else pixels)
        else:
            _write(folder / "clean", number, category, pixels)
            _write(folder / "marked", number, category, with_mark(pixels))


def digits() -> Iterator[tuple[np.ndarray, int]]:
    """Scikit-learn's 1,797 digits, moved a little and with a grain as photos have it, uint8 SIDE×SIDE, and their
    categories."""
    sample, random = load_digits(), np.random.default_rng(0)
    for image, category in zip(sample.images, sample.target, strict=True):
        picture = Image.fromarray((image * 15.9375).astype("uint8"))
        pixels = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
        moved = np.roll(pixels, random.integers(-SHIFT, SHIFT + 1, 2), (0, 1))
        yield np.clip(moved + random.normal(0, NOISE, moved.shape), 0, 255).astype(np.uint8), int(category)


def with_mark(pixels: np.ndarray) -> np.ndarray:
    """A copy with the mark."""
    marked = pixels.copy()
    left, top, right, lower = BOX
    marked[top:lower, left:right] = WHITE
    return marked


def _write(folder: Path, number: int, category: int, pixels: np.ndarray) -> None:
    path = folder / str(category) / f"{number:04}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


if __name__ == "__main__":
    plant(Path(sys.argv[1]))
