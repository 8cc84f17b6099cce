"""The format of record files: dmlc RecordIO with MXNet's image header.

A record consists of one or more parts. A part is MAGIC, a word with a 3-bit flag and a 29-bit length, and the data,
padded to four bytes. Data with MAGIC at a multiple of four bytes is split there, and that MAGIC is left out. The flag
is 0 for a record of one part, else 1 for the first, 2 for middle and 3 for the last part. The data is: flag, label,
id, id2, payload. `NAME.idx` beside `NAME.rec` lists "id<tab>offset" of every record.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

MAGIC = struct.pack("<I", 0xCED7230A)
PART = struct.Struct("<4sI")
HEADER = struct.Struct("<IfQQ")
LABEL = struct.Struct("<f")
LABEL_AT = PART.size + 4
LABEL_AND_ID = struct.Struct("<fQ")  # at LABEL_AT
LENGTH_BITS = 29
WHOLE, FIRST, MIDDLE, LAST = range(4)


def index_path(path: Path) -> Path:
    return path.with_suffix(".idx")


def padded(length: int) -> int:
    return (length + 3) & ~3


def framed(data: bytes) -> bytes:
    """The record of the data."""
    return _in_parts(data) if MAGIC in data else _in_one(data)


def _in_one(data):
    """The record of data without MAGIC."""
    return b"%b%b%b" % (PART.pack(MAGIC, len(data)), data, bytes(-len(data) % 4))


def _in_parts(data):
    pieces, start = [], 0
    found = data.find(MAGIC)
    while found >= 0:
        if found % 4 == 0:
            pieces += [PART.pack(MAGIC, (MIDDLE if start else FIRST) << LENGTH_BITS | found - start)]
            pieces += [data[start:found]]
            start = found + len(MAGIC)
        found = data.find(MAGIC, found + 1)
    flag = LAST if start else WHOLE
    pieces += [PART.pack(MAGIC, flag << LENGTH_BITS | len(data) - start), data[start:]]
    pieces += [bytes(padded(len(data)) - len(data))]
    return b"".join(pieces)


def parsed_index(text: bytes) -> np.ndarray | None:
    """The (number, offset) pairs of an .idx file, int64, N×2; None if any line is not two whole numbers."""
    if text.translate(None, b"0123456789\t\r\n"):
        return None
    numbers = np.fromstring(text, dtype=np.int64, sep=" ") if text.strip() else np.empty(0, np.int64)
    return numbers.reshape(-1, 2) if len(numbers) % 2 == 0 else None


def record_ends(offsets: np.ndarray, size: int) -> np.ndarray:
    """The end of each record: the start of the next one in the file, in any order of the index."""
    borders = np.append(np.sort(offsets), size)
    return borders[np.searchsorted(borders, offsets, side="right")]
