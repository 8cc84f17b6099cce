"""Mends files that are damaged beside their pixels, as viewers do: a note in a PNG, the end of a JPEG or a bitmap.

Nothing is guessed: where bytes are missing, a file is mended in several ways that fill the gap differently. Only if
all give the same picture were all of its pixels there.
"""

from __future__ import annotations

import re
from zlib import crc32

MENDED = {
    "PNG": "a note beside its pixels, such as a colour profile or a text, is damaged or too large and was left out",
    "JPEG": "its last bytes, which mark its end, are missing, but every pixel is there",
    "BMP": "its last bytes, which only fill up a row, are missing, but every pixel is there",
}
_PNG_SIGNATURE_BYTES = 8
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_KEPT_NOTES = (b"tRNS", b"eXIf")  # they change what is seen: transparency and orientation
_XMP = b"XML:com.adobe.xmp\0\0"  # may tell the orientation too
_MAX_XMP = 1 << 20
_FILLINGS = (b"\x00", b"\xaa", b"\x55")
_JPEG_END = b"\xff\xd9"
_PROGRESSIVE = re.compile(rb"\xff\xc2..\x08....(.)", re.DOTALL)


def mended(data: bytes, format_name: str) -> list[bytes]:
    """The file, mended in one way or several; its picture may be used if all ways give the same."""
    if format_name == "PNG":
        return [_png_without_notes(data)]
    if format_name == "JPEG" and _has_all_scans(data):
        body = data[:-1] if data.endswith(b"\xff") else data
        # Where intervals are marked, one may be missing from its start on.
        return [body + filling * 32 + _next_restart(body) + filling * 32 + _JPEG_END for filling in _FILLINGS]
    if format_name == "BMP":
        return [data + filling * 3 for filling in _FILLINGS]
    return []


def _png_without_notes(data):
    """The chunks that the picture needs; others, and those of a wrong checksum that it can do without, are left out."""
    view, position, kept = memoryview(data), _PNG_SIGNATURE_BYTES, [data[:_PNG_SIGNATURE_BYTES]]
    while position + 12 <= len(data):
        stop = position + 12 + int.from_bytes(data[position : position + 4], "big")
        kind, body = data[position + 4 : position + 8], view[position + 8 : stop - 4]
        is_whole = crc32(view[position + 4 : stop - 4]) == int.from_bytes(data[stop - 4 : stop], "big")
        if kind in _CRITICAL or (is_whole and (kind in _KEPT_NOTES or _is_xmp(kind, body))):
            kept.append(view[position:stop])
        position = stop
    return b"".join(kept)


def _is_xmp(kind, body):
    return kind == b"iTXt" and len(body) <= _MAX_XMP and bytes(body[: len(_XMP)]) == _XMP


def _next_restart(body):
    """The mark that the interval after the last one would begin with."""
    last = max((body.rfind(b"\xff" + bytes([mark])), mark) for mark in range(0xD0, 0xD8))
    return b"\xff" + bytes([0xD0 if last[0] < 0 else 0xD0 + (last[1] - 0xD0 + 1) % 8])


def _has_all_scans(data):
    """Whether a JPEG that tells its picture in ever finer scans has the last of every component.

    Between two scans nothing tells that more were to come, so that any filling would give the same coarse picture.
    """
    frames = list(_PROGRESSIVE.finditer(data))
    if not frames:
        return True
    frame = frames[-1]  # one before it is that of a thumbnail
    components = [data[frame.end() + 3 * number] for number in range(frame[1][0])]
    finest = set()
    for scan in re.finditer(rb"\xff\xda", data[frame.end() :]):
        start = frame.end() + scan.end() + 2
        count = data[start]
        first, last, shifts = data[start + 1 + 2 * count : start + 4 + 2 * count]
        if shifts & 0x0F == 0:
            of_scan = data[start + 1 : start + 1 + 2 * count : 2]
            finest |= {(component, end) for component in of_scan for end in (first, last)}
    return all((component, end) in finest for component in components for end in (0, 63))
