"""A tensor in a file: its shape, and a function that reads its values."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np

BFLOAT16 = "bfloat16"  # the upper half of a float32; NumPy has no such type
ITEM_BYTES = {BFLOAT16: 2}

# Limits of a description, far above those of any network: what a file says must not become a long computation.
MAX_AXES = 32  # of a tensor
MAX_COUNT = 1 << 48  # of values along an axis, or in a storage; in bytes it still fits 64 bits
MAX_NAME = 60  # characters of a name from the file, in a message

Shape = tuple[int, ...]


class BadTensors(ValueError):
    """A file that does not hold tensors, or holds more than tensors; the text says what is wrong with it."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file. `read` returns its values as float32, in its shape; the file must still be open."""

    shape: Shape
    read: Callable[[], np.ndarray]


StoredTensors = dict[str, StoredTensor]


def check_counts(*counts: object) -> None:
    """Raise BadTensors unless these are whole numbers from 0 to MAX_COUNT."""
    if not all(isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= MAX_COUNT for count in counts):
        raise BadTensors(f"it has a tensor with a size that is not a whole number from 0 to {MAX_COUNT:,}")


def item_bytes(dtype: str) -> int:
    """The size of one value: of BFLOAT16, or of a type of NumPy."""
    return ITEM_BYTES.get(dtype) or np.dtype(dtype).itemsize


def file_size(file: BinaryIO) -> int:
    """The size of an open file in bytes. Its position is at the start afterwards."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def read_values(file: BinaryIO, start: int, count: int, dtype: str) -> np.ndarray:
    """`count` values of a type, little-endian, from byte `start` on, as float32."""
    if start + count * item_bytes(dtype) > file_size(file):
        raise BadTensors("it is cut short")
    values = np.empty(count, "<u2" if dtype == BFLOAT16 else dtype)
    file.seek(start)
    if cast(io.BufferedIOBase, file).readinto(values.view(np.uint8).data) != values.nbytes:
        raise BadTensors("it is cut short")
    if dtype == BFLOAT16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):  # a number that is too large becomes infinite, which the reader's caller refuses
        return values.astype(np.float32, copy=False)


class BoundedReader:
    """The rest of a file as a stream that refuses to give more than `most` bytes, so that a length in the file that is
    too large does no harm."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file = file
        self._left = most

    def read(self, size: int = -1) -> bytes:
        return self._given(self._file.read(self._allowed(size)))

    def readline(self, size: int | None = -1) -> bytes:
        return self._given(self._file.readline(self._allowed(-1 if size is None else size)))

    def _allowed(self, size: int) -> int:
        if size > self._left:
            raise BadTensors("it describes more than a file of tensors can hold")
        return self._left if size < 0 else size

    def _given(self, data: bytes) -> bytes:
        self._left -= len(data)
        return data
