"""Small TIFF files of kinds that Pillow can't write, put together tag by tag."""

import struct

import numpy as np

from tests.support.samples.heic_samples import expected_pixels

HEIGHT, WIDTH = expected_pixels().shape[:2]
SHORT, LONG = 3, 4
_CODES = {1: "B", SHORT: "H", LONG: "I", 16: "Q"}
_NUMBER = {False: "I", True: "Q"}


def tiff(tags, *pieces, order="<", big=False, places=273, following=0):
    """A file of one page with `tags`, {tag: number or list, or (type, numbers)}, and its strips or tiles, `pieces`.

    `places` is the tag of their offsets: 273 for strips, whose lengths have tag 279, or 324 for tiles, with 325.
    """
    start = 16 if big else 8
    offsets = [start + sum(map(len, pieces[:number])) for number in range(len(pieces))]
    lengths = {273: 279, 324: 325}[places]
    tags = {places: (LONG, offsets), lengths: (LONG, list(map(len, pieces)))} | tags
    body = b"".join(pieces)
    table = start + len(body)
    rows, values = _rows(tags, order, big, table)
    head = (b"II" if order == "<" else b"MM") + (
        struct.pack(f"{order}HHHQ", 43, 8, 0, table) if big else struct.pack(f"{order}HI", 42, table)
    )
    count = struct.pack(order + ("Q" if big else "H"), len(tags))
    return head + body + count + rows + struct.pack(order + _NUMBER[big], following) + values


def _rows(tags, order, big, table):
    inline = 8 if big else 4
    beside = table + (8 if big else 2) + len(tags) * (4 + 2 * inline) + inline
    rows, values = b"", b""
    for tag, value in sorted(tags.items()):
        kind, numbers = value if isinstance(value, tuple) else (LONG if tag in (273, 324) else SHORT, value)
        numbers = numbers if isinstance(numbers, list) else [numbers]
        data = struct.pack(f"{order}{len(numbers)}{_CODES[kind]}", *numbers)
        rows += struct.pack(f"{order}HH{_NUMBER[big]}", tag, kind, len(numbers))
        rows += (
            data.ljust(inline, b"\0")
            if len(data) <= inline
            else struct.pack(order + _NUMBER[big], beside + len(values))
        )
        values += data if len(data) > inline else b""
    return rows, values


def tags(samples, bits=8, photometric=None, **more):
    """The tags of a page with this number of samples per pixel, and `more`, as t339=…."""
    found = {
        256: WIDTH, 257: HEIGHT, 258: [bits] * samples, 259: 1, 262: photometric or (2 if samples > 2 else 1),
        277: samples, 278: HEIGHT,
    }  # fmt: skip
    return found | {int(name[1:]): value for name, value in more.items()}


def raw_bytes(samples, bits=8, order="<"):
    """Integers in the byte order of a file."""
    return np.asarray(samples).astype(f"{order}u{bits // 8}").tobytes()
