"""Folders of real images: handwritten digits and photos."""

import os
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

from datasets.imagedb import FolderSource, Spec

PHOTOS = ("china.jpg", "flower.jpg")


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits, uint8 N×8×8, and their labels."""
    bunch = load_digits()
    return (bunch.images * 15.9375).astype(np.uint8), bunch.target


@cache
def photo(name: str) -> np.ndarray:
    """A photo, uint8 427×640×3, RGB."""
    return load_sample_image(name)


def write_digits(folder: Path, counts: dict[int, int], suffix: str = ".png") -> Path:
    """counts[digit] images of each digit, 8×8, in a subfolder named after it."""
    images, targets = digits()
    for digit, count in counts.items():
        category = folder / str(digit)
        category.mkdir(parents=True)
        for number, image in enumerate(images[targets == digit][:count]):
            Image.fromarray(image).save(category / f"{number:03}{suffix}")
    return folder


def write_28_pixel_digits(folder, categories=10, each=12, first=0):
    """`each` handwritten digits of each category from its `first` on as PNG, enlarged to 28×28, in a subfolder named
    after it."""
    bunch = load_digits()
    for category in range(categories):
        (folder / str(category)).mkdir(parents=True)
        for i, image in enumerate(bunch.images[bunch.target == category][first : first + each]):
            pixels = np.round(image * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).resize((28, 28), Image.Resampling.BICUBIC).save(folder / str(category) / f"{i}.png")
    return folder


def write_photos(folder: Path, categories: int, per_category: int) -> Path:
    """Two photos, 640×427, under many names in subfolders "category 0" and so on."""
    folder.mkdir(parents=True)
    for number, name in enumerate(PHOTOS):
        Image.fromarray(photo(name)).save(folder / f".{number}", "JPEG")
    for category in range(categories):
        (folder / f"category {category}").mkdir()
        for number in range(per_category):
            os.link(folder / f".{number % 2}", folder / f"category {category}" / f"{number}.jpg")
    return folder


def spec_of(folder: Path, /, **changes) -> Spec:
    """A Spec of 8×8 grayscale images, read by two workers, with `changes`."""
    return Spec(**{"train": FolderSource(folder), "width": 8, "height": 8, "channels": 1, "workers": 2} | changes)


def ignore_progress(fraction: float) -> None:
    """A progress callback that does nothing."""
