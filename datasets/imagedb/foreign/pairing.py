"""The work of a worker process on prebuilt databases: reads images with their labels and encodes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets.imagedb.foreign.database import Database
from datasets.imagedb.spec import CHANNELS, MAX_SIDE
from datasets.imagedb.store.payloads import encode
from digits_project.common.errors import BadInput

STEP = 16  # entries per task; keeps the memory in use small
ENCODING = "png"  # lossless, so the training sees exactly the database's pixels


@dataclass(frozen=True)
class Paired:
    """The result of one task: records, and the shapes that they share.

    A label is an array of numbers (float32, n) or, in `label_payloads`, an image. Shapes are (C, H, W); `total`
    (uint32, H×W×C) is the sum of the images. `first` is the name of the first entry. `strays` are the keys of the first
    image and label whose keys differ."""

    payloads: list[bytes]
    labels: list[np.ndarray]
    label_payloads: list[bytes]
    image_shape: tuple[int, int, int]
    label_shape: tuple[int, int, int]
    total: np.ndarray
    first: str
    strays: tuple[str, str] | None


@dataclass(frozen=True)
class Pairing:
    """Reads entries of `images`, and of `labels` if there is such a database, and encodes them for records.

    A task is the images' mark, the labels' mark or None, and the number of entries. Errors of the databases are
    returned as BadInput, because an exception would mean a fault in the worker."""

    images: Database
    labels: Database | None

    def __call__(self, task) -> Paired | BadInput:
        try:
            return self._paired(*task)
        except BadInput as wrong:
            return wrong

    def _paired(self, image_mark, label_mark, count):
        payloads, labels, label_payloads, strays = [], [], [], None
        shapes: Any = None
        total: Any = 0
        first = ""
        for name, item, label_name, label in self._entries(image_mark, label_mark, count):
            where = f"Entry {name} of {self.images.path}"
            pixels = _checked_pixels(item, where)
            numbers, image = (item.label[:, None, None], None) if label is None else _label(label)
            if not (image is not None or np.isfinite(numbers).all()):
                raise BadInput(f"The label of entry {name} is not a finite number.")
            found = _shape(pixels), (_shape(image) if image is not None else numbers.shape), image is None
            if shapes not in (None, found):
                raise BadInput(f"{where} is {in_words(found)}; entry {first} is {in_words(shapes)}. All must be alike.")
            shapes, first = found, first or name
            payloads.append(encode(pixels, ENCODING))
            if image is None:
                labels.append(numbers.reshape(-1))
            else:
                label_payloads.append(encode(image, ENCODING))
            total = total + pixels.astype(np.uint32)
            strays = strays or ((name, label_name) if label_name not in (None, name) else None)
        image_shape, label_shape, _ = shapes
        return Paired(payloads, labels, label_payloads, image_shape, label_shape, total, first, strays)

    def _entries(self, image_mark, label_mark, count) -> Iterator:
        """(name, image, name of the label, label); the last two are None if the images have their own labels."""
        images = _parsed(self.images, image_mark, count)
        if self.labels is None:
            return ((name, item, None, None) for name, item in images)
        labels = _parsed(self.labels, label_mark, count)
        return ((*image, *label) for image, label in zip(images, labels, strict=True))


def index(database: Database) -> tuple[int, list] | BadInput:
    """Database.index() for a worker process."""
    try:
        return database.index(STEP)
    except BadInput as wrong:
        return wrong


def _parsed(database, mark, count):
    """(name, Item) of each entry. Raises BadInput with the entry's name."""
    for name, content in database.read(mark, count):
        try:
            yield name, database.parse(content)
        except BadInput as wrong:
            raise BadInput(f"Entry {name} of {database.path} can't be used: {wrong}.") from wrong


def _checked_pixels(item, where):
    if item.pixels is None:
        what = "numbers, not an 8-bit image" if item.values is not None else "no image"
        raise BadInput(f"{where} holds {what}.")
    height, width, channels = item.pixels.shape
    if channels not in CHANNELS:
        raise BadInput(f"{where} has {channels} channels; an image has 1 (gray) or 3 (colour).")
    if max(height, width) > MAX_SIDE:
        raise BadInput(f"{where} is {width}×{height}; an image has at most {MAX_SIDE} pixels along a side.")
    return item.pixels


def _label(item):
    """(numbers, None) or (None, image) of an entry in a label database. Numbers are float32, C×H×W.

    Bytes in two dimensions are an image. Bytes in one dimension, and values that no image can have, are numbers.
    """
    if item.values is not None:
        return item.values, None
    if item.pixels is None:
        return item.label[:, None, None], None
    height, width, channels = item.pixels.shape
    if min(height, width) > 1 and channels in CHANNELS:
        return None, item.pixels
    return item.pixels.transpose(2, 0, 1).astype(np.float32), None


def _shape(pixels):
    height, width, channels = pixels.shape
    return channels, height, width


def in_words(shapes) -> str:
    """The shapes of an image and its label in words, for a message."""
    image, label = ("×".join(map(str, shape)) for shape in shapes[:2])
    return f"{image} with {'numbers' if shapes[2] else 'an image'} of {label} as label"
