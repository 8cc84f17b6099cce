"""Rewrites a TIFF file so that it contains only what the image of its first page needs.

A TIFF file is a tree of tables (pages, thumbnails, camera metadata, profiles), any number of them, anywhere in the
file, even sharing bytes. Decoders read them all. The rewritten file has a single table with the tags that are needed,
whose sizes have been checked against each other. The file's own bytes precede it unchanged.

Tags: TIFF 6.0, and BigTIFF with its 64-bit offsets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from datasets.imagedb.images.formats import BadImage
from datasets.imagedb.images.size_limits import check_size

MORE_PAGES = "it has more than one page, and only the first was used"
REAL_NUMBERS = "its pixels are real numbers, not 8 or 16 bits"
_NOT_READ = "{} is not supported: save it as PNG or JPEG"
_DAMAGED = "damaged TIFF: {}"
_CUT = _DAMAGED.format("it is cut short")

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_LONG, _LONG8 = 4, 16

_SUBFILE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANAR = 273, 277, 278, 279, 284
_COLOURS, _TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_BYTES, _SAMPLE_FORMAT = 320, 322, 323, 324, 325, 339
_SUB_TABLES, _DNG = 330, 50706
_FILL_ORDER, _ORIENTATION, _FAX, _PREDICTOR, _INKS, _EXTRA, _JPEG_TABLES = 266, 274, 292, 317, 332, 338, 347
_YCBCR = (529, 530, 531, 532)
_KEPT = frozenset((
    _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS,
    _STRIP_BYTES, _PLANAR, _FAX, _PREDICTOR, _COLOURS, _TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_BYTES, _INKS,
    _EXTRA, _SAMPLE_FORMAT, _JPEG_TABLES, *_YCBCR,
))  # fmt: skip
_LOOKED_AT = _KEPT | {_SUBFILE, _SUB_TABLES}

_SINGLE = frozenset((
    _WIDTH, _LENGTH, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _ORIENTATION, _SAMPLES, _ROWS, _PLANAR, _FAX, _PREDICTOR,
    _TILE_WIDTH, _TILE_LENGTH, _INKS,
))  # fmt: skip

_NONE = 1
# Fax of three kinds, LZW, JPEG, Deflate by two numbers, PackBits, LZMA, Zstandard. Old-style JPEG (6) is left out: its
# tables lie outside of the pixels, anywhere in the file.
_COMPRESSIONS = {_NONE, 2, 3, 4, 5, 7, 8, 32946, 32773, 34925, 50000}
_CAMERAS = {32767, 32769, 32770, 32772, 34713, 34892, 65000, 65535}  # compressions that only cameras use
_SENSOR, _LINEAR = 32803, 34892  # photometric interpretations of a sensor's values
# Photometric interpretations and the bits that a sample may have: white is 0, black is 0, RGB, palette, CMYK, YCbCr.
_DEPTHS = {0: (1, 2, 4, 8), 1: (1, 2, 4, 8, 12, 16), 2: (8, 16), 3: (1, 2, 4, 8), 5: (8, 16), 6: (8,)}
_UNSIGNED = 1
_REAL = (3, 6)
_MAX_TAGS = 1000
_MAX_SAMPLES = 8  # per pixel
_MAX_PIECES = 200_000  # strips or tiles
_MAX_PAGES = 100  # searched for a page that is no thumbnail
_MIN_TILE = 1 << 20  # pixels that a tile may have even if the image has fewer


@dataclass(frozen=True)
class _Layout:
    """The byte order and the width of offsets in a TIFF file."""

    order: str
    is_big: bool

    @property
    def number(self) -> str:
        """The struct format of a count or an offset."""
        return "Q" if self.is_big else "I"

    @property
    def inline(self) -> int:
        """The number of bytes of a value that fit in the table itself."""
        return 8 if self.is_big else 4

    def unpack(self, kinds: str, data: bytes, position: int) -> tuple:
        try:
            return struct.unpack_from(self.order + kinds, data, position)
        except struct.error:
            raise BadImage(_CUT) from None

    def pack(self, kinds: str, *values: int) -> bytes:
        return struct.pack(self.order + kinds, *values)


@dataclass(frozen=True)
class _Table:
    """A page: the tags that are read, as (type, count, bytes); the numbers of all tags; the next table's offset."""

    layout: _Layout
    tags: dict[int, tuple[int, int, bytes]]
    names: frozenset[int]
    following: int

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        if tag not in self.tags:
            return default
        kind, count, value = self.tags[tag]
        if kind not in _WHOLE_NUMBERS or not count:
            raise BadImage(_DAMAGED.format(f"its tag {tag} is not a number"))
        return self.layout.unpack(f"{count}{_WHOLE_NUMBERS[kind]}", value, 0)

    def number(self, tag: int, default: int) -> int:
        return self.numbers(tag, (default,))[0]


def first_page(data: bytes) -> tuple[bytes, str | None]:
    """A TIFF file with only the first page, and a remark if there are others. Raises BadImage."""
    layout = _Layout("<" if data.startswith(b"II") else ">", 43 in data[2:4])
    (start,) = layout.unpack(layout.number, data, 8 if layout.is_big else 4)
    table = _table_at(layout, data, start)
    _refuse_cameras(layout, data, table)
    _check_kind(table)
    page = _checked_pieces(table, data)
    remark = MORE_PAGES if _has_more_pages(layout, data, table, start) else None
    if page.number(_PLANAR, 1) == 2 and page.number(_COMPRESSION, _NONE) == _NONE and _STRIP_OFFSETS in page.tags:
        data, page = _interleaved(page, data)
    return _written(data, page), remark


def _table_at(layout: _Layout, data: bytes, position: int) -> _Table:
    (count,) = layout.unpack("Q" if layout.is_big else "H", data, position)
    if count > _MAX_TAGS:
        raise BadImage(_DAMAGED.format(f"it has {count} tags"))
    position += 8 if layout.is_big else 2
    tags, names = {}, []
    for _ in range(count):
        tag, kind, length = layout.unpack("HH" + layout.number, data, position)
        position += 4 + layout.inline
        names.append(tag)
        size = _SIZES.get(kind, 0) * length
        if tag in _LOOKED_AT and tag not in tags and size:
            where = position if size <= layout.inline else layout.unpack(layout.number, data, position)[0]
            if where + size > len(data) or length > 2 * _MAX_PIECES:
                raise BadImage(_CUT)
            if tag in _SINGLE and length != 1:
                raise BadImage(_DAMAGED.format(f"its tag {tag} has {length} values"))
            tags[tag] = kind, length, data[where : where + size]
        position += layout.inline
    (following,) = layout.unpack(layout.number, data, position) if position + layout.inline <= len(data) else (0,)
    return _Table(layout, tags, frozenset(names), following)


def _refuse_cameras(layout: _Layout, data: bytes, table: _Table) -> None:
    """Raise BadImage for a camera's raw file: a TIFF file whose first page is a small preview."""
    if _DNG in table.names:
        raise BadImage(_NOT_READ.format("DNG"))
    is_preview = table.number(_SUBFILE, 0) & 1 and _SUB_TABLES in table.names
    photometric, compression = table.number(_PHOTOMETRIC, 0), table.number(_COMPRESSION, _NONE)
    if is_preview or photometric in (_SENSOR, _LINEAR) or compression in _CAMERAS:
        raise BadImage(_NOT_READ.format("a camera's raw file"))


def _check_kind(table: _Table) -> None:
    """Raise BadImage for kinds of samples that can't be decoded correctly."""
    formats, bits = set(table.numbers(_SAMPLE_FORMAT, (_UNSIGNED,))), set(table.numbers(_BITS, (1,)))
    photometric = table.number(_PHOTOMETRIC, 0)
    if formats & set(_REAL):
        raise BadImage(REAL_NUMBERS)
    if formats != {_UNSIGNED}:
        raise BadImage(_NOT_READ.format("a TIFF with signed samples"))
    if table.number(_COMPRESSION, _NONE) not in _COMPRESSIONS:
        raise BadImage(_NOT_READ.format(f"a TIFF of compression {table.number(_COMPRESSION, _NONE)}"))
    if photometric not in _DEPTHS:
        raise BadImage(_NOT_READ.format(f"a TIFF with colours of type {photometric}"))
    if len(bits) > 1 or not bits <= set(_DEPTHS[photometric]):
        depth = " and ".join(str(number) for number in sorted(bits))
        which = {0: " of which 0 is white", 3: " that choose from a palette"}.get(photometric, "")
        raise BadImage(_NOT_READ.format(f"a TIFF with samples of {depth} bits{which}"))
    if not 0 < table.number(_SAMPLES, 1) <= _MAX_SAMPLES:
        raise BadImage(_NOT_READ.format(f"a TIFF with {table.number(_SAMPLES, 1)} samples a pixel"))
    if bits == {16} and table.number(_PLANAR, 1) == 2 and not _is_plain(table):
        raise BadImage(_NOT_READ.format("a TIFF with colours of 16 bits in planes that are compressed or tiled"))


def _is_plain(table):
    return table.number(_COMPRESSION, _NONE) == _NONE and _STRIP_OFFSETS in table.tags


def _checked_pieces(table: _Table, data: bytes) -> _Table:
    """The table, after checking that its strips or tiles fit the image and lie inside the file."""
    width, length = table.number(_WIDTH, 0), table.number(_LENGTH, 0)
    if not width or not length:
        raise BadImage(_DAMAGED.format("it has no size"))
    check_size(width, length)
    if _TILE_OFFSETS in table.tags:
        tile_width, tile_length = table.number(_TILE_WIDTH, 0), table.number(_TILE_LENGTH, 0)
        if not 0 < tile_width * tile_length <= max(4 * width * length, _MIN_TILE):
            raise BadImage(_DAMAGED.format(f"its tiles are {tile_width}x{tile_length}"))
        across, rows, places, sizes = -(-width // tile_width), tile_length, _TILE_OFFSETS, _TILE_BYTES
    else:
        across, rows, places, sizes = 1, table.number(_ROWS, length) or length, _STRIP_OFFSETS, _STRIP_BYTES
    planes = table.number(_SAMPLES, 1) if table.number(_PLANAR, 1) == 2 else 1
    pieces = across * -(-length // rows) * planes
    if pieces > _MAX_PIECES:
        raise BadImage(f"a TIFF of more than {_MAX_PIECES:,} strips or tiles")
    offsets, byte_counts = table.numbers(places), table.numbers(sizes)
    if len(offsets) != pieces or (byte_counts and len(byte_counts) != pieces):
        raise BadImage(_DAMAGED.format(f"it has {len(offsets)} strips or tiles, but needs {pieces}"))
    if max(map(sum, zip(offsets, byte_counts or (0,) * pieces, strict=True))) > len(data):
        raise BadImage(_CUT)
    if table.number(_COMPRESSION, _NONE) == _NONE:
        _check_room(table, offsets, (across * table.number(_TILE_WIDTH, 0) or width) // across, rows, len(data))
    return table


def _check_room(table, offsets, width, rows, length):
    """Raise BadImage if the last rows of uncompressed samples lie beyond the end of the file."""
    samples = 1 if table.number(_PLANAR, 1) == 2 else table.number(_SAMPLES, 1)
    last = rows if _TILE_OFFSETS in table.tags else (table.number(_LENGTH, 0) - 1) % rows + 1
    needed = (width * samples * table.number(_BITS, 1) + 7) // 8 * last
    if offsets[-1] + needed > length:
        raise BadImage(_CUT)


def _has_more_pages(layout, data, table, start):
    """Whether another table is a page of its own, not a smaller copy or a mask."""
    seen = {start}
    while table.following and table.following not in seen and len(seen) < _MAX_PAGES:
        seen.add(table.following)
        try:
            table = _table_at(layout, data, table.following)
            if not table.number(_SUBFILE, 0) & 5 and _WIDTH in table.tags:
                return True
        except BadImage:  # in a page that is not used
            return False
    return False


def _interleaved(table: _Table, data: bytes) -> tuple[bytes, _Table]:
    """The file and its table with interleaved samples, in one strip at the end of the file.

    Pillow reads separate planes only if they have 8 bits.
    """
    width, length, planes = table.number(_WIDTH, 0), table.number(_LENGTH, 0), table.number(_SAMPLES, 1)
    bits = table.number(_BITS, 1)
    if bits not in (8, 16):
        raise BadImage(_NOT_READ.format(f"a TIFF with planes of {bits} bits"))
    plane = width * length * bits // 8
    offsets = table.numbers(_STRIP_OFFSETS)
    rows = min(table.number(_ROWS, length) or length, length)
    strips = len(offsets) // planes
    samples = np.empty((width * length, planes), f"u{bits // 8}")
    for number in range(planes):
        own = offsets[number * strips : (number + 1) * strips]
        whole = b"".join(data[offset : offset + rows * width * bits // 8] for offset in own)[:plane]
        if len(whole) < plane:
            raise BadImage(_CUT)
        samples[:, number] = np.frombuffer(whole, samples.dtype)
    single = {_STRIP_OFFSETS: len(data), _STRIP_BYTES: samples.nbytes, _ROWS: length, _PLANAR: 1}
    changed = {tag: (_LONG, 1, table.layout.pack("I", value)) for tag, value in single.items()}
    return data + samples.tobytes(), _Table(table.layout, table.tags | changed, table.names, 0)


def _written(data: bytes, table: _Table) -> bytes:
    """The file with a single table at its end, with 32-bit offsets, because Pillow can't read all BigTIFF files."""
    layout, order = table.layout, b"II" if table.layout.order == "<" else b"MM"
    kept = sorted(_in_32_bits(table, tag) for tag in table.tags if tag in _KEPT)
    padding = bytes(-len(data) % 8)
    start = len(data) + len(padding)
    beside = start + 2 + 12 * len(kept) + 4
    rows, values = [layout.pack("H", len(kept))], []
    for tag, kind, count, value in kept:
        rows.append(layout.pack("HHI", tag, kind, count))
        if len(value) <= 4:
            rows.append(value.ljust(4, b"\0"))
        else:
            rows.append(layout.pack("I", beside))
            values.append(value + bytes(len(value) % 2))
            beside += len(values[-1])
    rows.append(bytes(4))
    head = order + layout.pack("HI", 42, start)
    return b"".join((head, memoryview(data)[len(head) :], padding, *rows, *values))


def _in_32_bits(table, tag):
    kind, count, value = table.tags[tag]
    if kind == _LONG8:
        numbers = table.numbers(tag)
        if max(numbers) >> 32:
            raise BadImage(_CUT)  # files are far shorter (MAX_BYTES)
        return tag, _LONG, count, table.layout.pack(f"{count}I", *numbers)
    return tag, kind, count, value
