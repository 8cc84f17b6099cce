"""Writes .caffemodel files byte by byte: as much of protocol buffers' wire format as they use."""

import numpy as np


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def integer(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def blob(array: np.ndarray) -> bytes:
    """A BlobProto as Caffe writes it today: a shape, and packed floats."""
    return message(7, message(1, b"".join(map(varint, array.shape)))) + message(5, array.astype("<f4").tobytes())


def old_blob(array: np.ndarray) -> bytes:
    """The same as it was written before 2015: four sizes."""
    sizes = (1,) * (4 - array.ndim) + array.shape
    return b"".join(integer(1 + i, n) for i, n in enumerate(sizes)) + message(5, array.astype("<f4").tobytes())


def double_blob(array: np.ndarray) -> bytes:
    return message(7, message(1, b"".join(map(varint, array.shape)))) + message(8, array.astype("<f8").tobytes())


def unpacked_blob(array: np.ndarray) -> bytes:
    """Every number as a field of its own."""
    shape = message(7, b"".join(integer(1, size) for size in array.shape))
    return shape + b"".join(b"\x2d" + number.tobytes() for number in array.astype("<f4").ravel())


def layer(name: str, *blobs: bytes) -> bytes:
    return message(100, message(1, name.encode()) + message(2, b"Any") + b"".join(message(7, one) for one in blobs))


def old_layer(name: str, *blobs: bytes) -> bytes:
    """A V1LayerParameter."""
    return message(2, b"".join(message(6, one) for one in blobs) + message(4, name.encode()) + integer(5, 4))
