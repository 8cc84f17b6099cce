"""Rows of numbers in a file, read and written in blocks, so that memory does not grow with the number of rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

BLOCK = 2048  # rows


class VectorFile:
    """`rows` rows of `size` numbers of a type (float16 for features). Threads can read and write it together.

    Blocks are read by position and not mapped: mapped pages would count as this process's memory.
    """

    def __init__(self, path: Path, rows: int, size: int, dtype: str = "<f2") -> None:
        self.path, self.rows, self.size = path, rows, size
        self._dtype = np.dtype(dtype)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def __enter__(self) -> VectorFile:
        return self

    def __exit__(self, *_) -> None:
        os.close(self._descriptor)

    def __len__(self) -> int:
        return self.rows

    def write(self, first: int, values: np.ndarray) -> None:
        """Write rows from row `first` on."""
        content = np.ascontiguousarray(values, self._dtype).data.cast("B")
        place = first * self.size * self._dtype.itemsize
        while content:
            written = os.pwrite(self._descriptor, content, place)
            content, place = content[written:], place + written

    def read(self, first: int, count: int) -> np.ndarray:
        """Rows from row `first` on, in the type of the file."""
        width = self.size * self._dtype.itemsize
        content = os.pread(self._descriptor, count * width, first * width)
        return np.frombuffer(content, self._dtype).reshape(-1, self.size)

    def rows_of(self, numbers: np.ndarray) -> np.ndarray:
        """The rows with these numbers, in any order."""
        found = np.empty((len(numbers), self.size), self._dtype)
        for place, number in enumerate(numbers.tolist()):
            found[place] = self.read(number, 1)
        return found

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, float32 rows) of all blocks."""
        for first in range(0, self.rows, BLOCK):
            yield first, self.read(first, min(BLOCK, self.rows - first)).astype(np.float32)
