"""Small real images on disk for the tests of the image databases."""

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
    """uint8, Nx8x8, handwritten digits, and which digit each is."""
    bunch = load_digits()
    return (bunch.images * 15.9375).astype(np.uint8), bunch.target


@cache
def photo(name: str) -> np.ndarray:
    """uint8, 427x640x3."""
    return load_sample_image(name)


def write_digits(folder: Path, counts: dict[int, int], suffix: str = ".png") -> Path:
    """counts[digit] images of each digit, in a subfolder named after it."""
    images, targets = digits()
    for digit, count in counts.items():
        category = folder / str(digit)
        category.mkdir(parents=True)
        for number, image in enumerate(images[targets == digit][:count]):
            Image.fromarray(image).save(category / f"{number:03}{suffix}")
    return folder


def write_photos(folder: Path, categories: int, per_category: int) -> Path:
    """Two photos of 640x427 under many names, in subfolders "category 0" and so on."""
    folder.mkdir(parents=True)
    for number, name in enumerate(PHOTOS):
        Image.fromarray(photo(name)).save(folder / f".{number}", "JPEG")
    for category in range(categories):
        (folder / f"category {category}").mkdir()
        for number in range(per_category):
            os.link(folder / f".{number % 2}", folder / f"category {category}" / f"{number}.jpg")
    return folder


def spec(folder: Path, /, **changes) -> Spec:
    """A Spec for 8x8 grayscale, read by two workers."""
    return Spec(**{"train": FolderSource(folder), "width": 8, "height": 8, "channels": 1, "workers": 2} | changes)


def silent(fraction: float) -> None:
    """A report callback for those who do not look at progress."""
