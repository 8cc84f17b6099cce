"""Reads the boxes of HEIC and AVIF files: the items, their bytes and their sizes.

Syntax: ISO/IEC 14496-12 (boxes, `meta`, `iinf`, `iloc`) and 23008-12 (`ispe`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_MAX_ITEMS = _MAX_BOXES = 10_000
Range = tuple[int, int]


class BadBoxes(ValueError):
    """The file's boxes are invalid."""


class Boxes:
    """The `meta` box of a file. Raises BadBoxes, as each of its methods does."""

    def __init__(self, data: bytes):
        self._data = data
        self._meta = self._only(b"meta", (0, len(data)), skip=4)

    def kinds(self) -> dict[int, bytes]:
        """The type of each item, by the item's number."""
        start, stop = self._only(b"iinf", self._meta)
        version = self._byte(start)
        kinds = {}
        for name, first, end in self._within((start + (8 if version else 6), stop)):
            if name == b"infe" and first < end:
                fields, version = _Fields(self._data, first + 4, end), self._data[first]
                item = fields.number(4 if version == 3 else 2)
                fields.number(2)
                kinds[item] = fields.number(4).to_bytes(4, "big") if version in (2, 3) else b""
        return kinds

    def contents(self) -> dict[int, bytes]:
        """The bytes of each item, by the item's number."""
        start, stop = self._only(b"iloc", self._meta)
        inside = self._only(b"idat", self._meta, needed=False)
        version, fields = self._byte(start), _Fields(self._data, start + 4, stop)
        sizes = fields.number(2)
        offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_size = sizes & 15 if version in (1, 2) else 0
        contents: dict[int, Any] = {}
        left = 4 * len(self._data)
        for _ in range(fields.number(4 if version == 2 else 2)):
            item = fields.number(4 if version == 2 else 2)
            method = fields.number(2) & 15 if version in (1, 2) else 0
            fields.number(2)
            base, pieces = fields.number(base_size), []
            for _ in range(fields.number(2)):
                fields.number(index_size)
                place = base + fields.number(offset_size), fields.number(length_size)
                pieces.append(self._piece(inside if method == 1 else (0, len(self._data)), *place))
                left -= len(pieces[-1]) + 1
                if left < 0:
                    raise BadBoxes("its items overlap")
            if item in contents or method > 1 or len(contents) == _MAX_ITEMS:
                raise BadBoxes("its items can't be distinguished")
            contents[item] = b"".join(pieces)
        return contents

    def largest_size(self) -> Range:
        """(width, height) of the largest image that the file announces; (0, 0) if there is none."""
        largest = (0, 0)
        for name, first, end in self._within(self._only(b"ipco", self._only(b"iprp", self._meta))):
            if name == b"ispe":
                fields = _Fields(self._data, first + 4, end)
                size = fields.number(4), fields.number(4)
                largest = max(largest, size, key=lambda size: size[0] * size[1])
        return largest

    def _within(self, place: Range) -> Iterator[tuple[bytes, int, int]]:
        """(type, start of the content, end) of each box in this range."""
        start, stop = place
        boxes = 0
        while start + 8 <= stop:
            boxes += 1
            if boxes > _MAX_BOXES:
                raise BadBoxes(f"it has more than {_MAX_BOXES:,} boxes")
            size, kind = int.from_bytes(self._data[start : start + 4], "big"), self._data[start + 4 : start + 8]
            header = 8
            if size == 1:
                size, header = int.from_bytes(self._data[start + 8 : start + 16], "big"), 16
            size = size or stop - start
            if size < header or start + size > stop:
                raise BadBoxes("it is cut short")
            yield kind, start + header, start + size
            start += size

    def _only(self, kind: bytes, place: Range, skip: int = 0, needed: bool = True) -> Range:
        """The content of the only box of this type, without its first `skip` bytes."""
        found = [(first + skip, end) for name, first, end in self._within(place) if name == kind]
        if len(found) > 1 or (needed and not found):
            raise BadBoxes(f"it has {len(found)} boxes {kind.decode()}, not one")
        return found[0] if found else (0, 0)

    def _byte(self, position):
        return _Fields(self._data, position, len(self._data)).number(1)

    def _piece(self, within, offset, length):
        start = within[0] + offset
        stop = start + length if length else within[1]
        if stop > within[1]:
            raise BadBoxes("it is cut short")
        return self._data[start:stop]


class _Fields:
    """Reads consecutive numbers of a box."""

    def __init__(self, data: bytes, start: int, stop: int):
        self._data, self._position, self._stop = data, start, stop

    def number(self, size: int) -> int:
        position, self._position = self._position, self._position + size
        if self._position > self._stop:
            raise BadBoxes("a box is cut short")
        return int.from_bytes(self._data[position : self._position], "big")
