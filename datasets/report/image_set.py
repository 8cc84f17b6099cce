"""The images of a built dataset as one sequence, read from its record files."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.imagedb.encode import SIZES_SUFFIX
from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.store.records import RecordReader


class RecordPlace(NamedTuple):
    """Where an image is: the name of its split, and the number of its record there."""

    split: str
    record: int


class ImageSet:
    """The images of all splits, numbered from 0 through the splits in their order. Threads can read it together.

    Use it in a with block, which closes the files. Raises DamagedRecords.
    """

    def __init__(self, directory: Path, splits: Sequence[str]) -> None:
        self.splits = tuple(splits)
        with ExitStack() as opened:
            self._readers = [opened.enter_context(RecordReader(directory / f"{name}.rec")) for name in splits]
            self._files = opened.pop_all()
        self.starts = [0]
        for reader in self._readers:
            self.starts.append(self.starts[-1] + len(reader))

    def __enter__(self) -> ImageSet:
        return self

    def __exit__(self, *_) -> None:
        self._files.close()

    def __len__(self) -> int:
        return self.starts[-1]

    def split_numbers(self) -> np.ndarray:
        """The number of each image's split, uint8."""
        return np.repeat(np.arange(len(self._readers), dtype=np.uint8), np.diff(self.starts))

    def file_sizes(self) -> np.ndarray | None:
        """The width and height of each image's file, uint16 n×2; None if the build did not store them."""
        paths = [reader.path.with_suffix(SIZES_SUFFIX) for reader in self._readers]
        if not all(path.exists() for path in paths):
            return None
        found = [np.fromfile(path, "<u2").reshape(-1, 2) for path in paths]
        fit = all(len(sizes) == len(reader) for sizes, reader in zip(found, self._readers, strict=True))
        return np.concatenate(found) if fit else None

    def place(self, image: int) -> RecordPlace:
        split = bisect_right(self.starts, image) - 1
        return RecordPlace(self.splits[split], image - self.starts[split])

    def read(self, image: int) -> tuple[int, np.ndarray]:
        """An image's category, -1 if its label is not one number, and its pixels, uint8, H×W×C. Raises BadImage."""
        split = bisect_right(self.starts, image) - 1
        labels, payload = self._readers[split].labels(image - self.starts[split])
        return (int(labels[0]) if len(labels) == 1 else -1), decode_record(payload)
