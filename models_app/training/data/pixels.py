"""Reads the images of a split as arrays: decoded from its records, or from a file of decoded pixels."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from datasets.imagedb.foreign.pairs import Pairs
from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.store.records import RecordReader
from digits_project.common.errors import BadInput
from models_app.training.data.crops import InputLayout, Window
from models_app.training.data.pixel_file import LABEL_BYTES, Numbers, decoded_once, in_shares

logger = logging.getLogger(__name__)

MAX_BYTES = 1 << 30


class Images(Protocol):
    """Numbered images of one shape, with labels."""

    layout: InputLayout

    def __len__(self) -> int: ...

    def read(
        self, numbers: Numbers, images: np.ndarray, labels: np.ndarray, windows: Sequence[Window] | None = None
    ) -> None:
        """Read the images of these numbers into `images` (uint8, n×C×H×W) and their labels into `labels` (float32).

        `windows` are the crops, one per image, which are scaled if the layout says so; None: images as stored.
        """

    def close(self) -> None: ...


class Records:
    """Images that are decoded each time they are read, on `threads` threads."""

    def __init__(self, path: Path, layout: InputLayout, threads: int) -> None:
        self.path = path
        self.layout = layout
        self._entries = Pairs(path, layout.label_shape) if layout.label_shape else RecordReader(path)
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def __len__(self) -> int:
        return len(self._entries)

    def read(
        self, numbers: Numbers, images: np.ndarray, labels: np.ndarray, windows: Sequence[Window] | None = None
    ) -> None:
        in_shares(
            self._pool, self.threads, len(numbers), lambda part: self._decode(part, numbers, images, labels, windows)
        )

    def _decode(
        self,
        part: range,
        numbers: Numbers,
        images: np.ndarray,
        labels: np.ndarray,
        windows: Sequence[Window] | None,
    ) -> None:
        channels, height, width = self.layout.image_shape
        for place in part:
            number = int(numbers[place])
            pixels, label = self._entry(number)
            if pixels.shape != (height, width, channels):
                found = "×".join(map(str, pixels.shape))
                raise BadInput(
                    f"image {number} of {self.path} is {found}, but the images of this training are "
                    f"{height}×{width}×{channels} (height×width×channels)"
                )
            labels[place] = label if self.layout.label_shape else self._category(label, number)
            image = pixels.transpose(2, 0, 1)
            if windows:
                self.layout.put(windows[place].of(image, *self.layout.window_shape), images[place])
            else:
                images[place] = image

    def _entry(self, number: int) -> tuple[np.ndarray, Any]:
        """Pixels, H×W×C, and the label: a number, or an array if labels have a shape."""
        if isinstance(self._entries, Pairs):
            return self._entries[number]
        label, payload = self._entries[number]
        return decode_record(payload), label

    def _category(self, label: float, number: int) -> float:
        if not (0 <= label < self.layout.categories and label == int(label)):
            known = f"there are {self.layout.categories} categories"
            raise BadInput(f"image {number} of {self.path} has label {label:g}, but {known}")
        return label

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._entries.close()


def open_images(path: Path, layout: InputLayout, threads: int, tick: Callable[[], None]) -> Images:
    """Open the images of a record file. A small split is decoded into a pixel file first; `tick` is called during that
    and can raise Aborted.

    Raises BadInput for an image of another shape, or for a label outside the layout's categories: at once for a small
    split, else when the image is read.
    """
    records = Records(path, layout, threads)
    if not len(records):
        records.close()
        raise BadInput(f"{path} holds no images")
    entry_bytes = math.prod(layout.image_shape) + LABEL_BYTES * math.prod(layout.label_shape)
    if len(records) * entry_bytes > MAX_BYTES:
        return records
    try:
        decoded = decoded_once(records, tick)
    except OSError as error:
        logger.warning("%s can't be stored decoded (%s); its images are decoded each time", path, error)
        return records
    except BaseException:
        records.close()
        raise
    records.close()
    return decoded
