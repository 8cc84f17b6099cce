"""Reads and writes the protocol buffers wire format, as far as Caffe and ONNX use it. Input is treated as hostile.

Source: the Protocol Buffers encoding documentation. A field is a key, number << 3 | wire type, as a varint, then by
wire type a varint (0), eight bytes (1), a length and that many bytes (2), or four bytes (5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from digits_project.common.errors import BadInput

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_MAX_FIELDS = 250_000  # of a message; a packed list of numbers is one field

Bytes = bytes | memoryview


class BadMessage(BadInput):
    """The bytes are not a valid message; the text says why, without the file's name."""


def read_fields(data: Bytes) -> Iterator[tuple[int, int, Any]]:
    """(number, wire type, value) of every field. Values of four and eight bytes are yielded as bytes.

    From a memoryview the values are memoryviews, without a copy.

    Consecutive four-byte fields of one number (an unpacked list of floats) are yielded as one value with all bytes.
    Raises BadMessage.
    """
    position = count = 0
    while position < len(data):
        start = position
        count += 1
        if count > _MAX_FIELDS:
            raise BadMessage(f"it has more than {_MAX_FIELDS:,} fields")
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise BadMessage(f"a field at byte {start} has number 0")
        if kind == VARINT:
            value, position = _varint(data, position)
        elif kind == FOUR:
            value, position = _run_of_fours(data, start, position)
        else:
            length, position = _varint(data, position) if kind == BYTES else (8, position)
            if kind not in (BYTES, EIGHT):
                raise BadMessage(f"the field at byte {start} has an unknown type")
            value, position = _taken(data, position, length)
        yield number, kind, value


def head(number: int, length: int) -> bytes:
    """The head of a field that holds bytes: its key and its length."""
    return _written(number << 3 | BYTES) + _written(length)


def field(number: int, value: int | bytes) -> bytes:
    """A field that holds a number as a varint, or bytes or a message."""
    if isinstance(value, int):
        return _written(number << 3 | VARINT) + _written(value)
    return head(number, len(value)) + value


def signed(value: int) -> int:
    """The value of an int32 or int64 field, whose varint is unsigned."""
    return value - (1 << 64) if value >= 1 << 63 else value


def numbers(kind: int, value: Any, dtype: str) -> np.ndarray:
    """The numbers of a field that is a list of floats (<f4) or doubles (<f8), packed or not. Raises BadMessage."""
    if kind == VARINT or len(value) % np.dtype(dtype).itemsize:
        raise BadMessage("a list of numbers is cut short")
    return np.frombuffer(value, dtype)


def _varint(data, position):
    value = 0
    for shift in range(_MAX_VARINT_BYTES):
        if position + shift >= len(data):
            raise BadMessage("the message is cut short")
        byte = data[position + shift]
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + shift + 1
    raise BadMessage(f"the number at byte {position} is too long")


def _written(value):
    """A number as a varint: seven bits per byte, lowest first; all bytes but the last have the eighth bit set."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _taken(data, position, length):
    if length > len(data) - position:
        raise BadMessage("the message is cut short")
    return data[position : position + length], position + length


def _run_of_fours(data, start, position):
    """The values of this field and of all following fields with the same key; one by one would take seconds.

    Compares growing chunks, so that a short run is cheap no matter how much follows.
    """
    key = data[start:position]
    size, runs, piece = len(key) + 4, [], 64
    while piece and len(data) - start >= size:
        rows = np.frombuffer(data, np.uint8, count=min(piece, (len(data) - start) // size) * size, offset=start)
        rows = rows.reshape(-1, size)
        same = (rows[:, : len(key)] == np.frombuffer(key, np.uint8)).all(axis=1)
        count = len(rows) if same.all() else int(np.argmin(same))
        runs.append(rows[:count, len(key) :].tobytes())
        start += count * size
        piece = piece * 8 if count == piece else 0
    if not any(runs):
        raise BadMessage("the message is cut short")
    return b"".join(runs), start
