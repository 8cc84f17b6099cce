"""Repairs files that are damaged outside of their pixels, as viewers do: metadata of a PNG, the end of a JPEG or BMP.

No pixel is guessed: if bytes are missing, the gap is filled in several ways, and the image is complete only if all
of them decode to the same pixels.
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
_KEPT_NOTES = (b"tRNS", b"eXIf")  # they change the picture: transparency and orientation
_XMP = b"XML:com.adobe.xmp\0\0"  # it can contain the orientation too
_MAX_XMP = 1 << 20
_FILLINGS = (b"\x00", b"\xaa", b"\x55")
_JPEG_END = b"\xff\xd9"
_PROGRESSIVE = re.compile(rb"\xff\xc2..\x08....(.)", re.DOTALL)


def mended(data: bytes, format_name: str) -> list[bytes]:
    """Repaired versions of the file. The image can be used if all of them decode to the same pixels."""
    if format_name == "PNG":
        return [_png_without_notes(data)]
    if format_name == "JPEG" and _has_all_scans(data):
        body = data[:-1] if data.endswith(b"\xff") else data
        # In a JPEG with restart markers a whole interval can be missing.
        return [body + filling * 32 + _next_restart(body) + filling * 32 + _JPEG_END for filling in _FILLINGS]
    if format_name == "BMP":
        return [data + filling * 3 for filling in _FILLINGS]
    return []


def _png_without_notes(data):
    """The PNG with only the chunks that the picture needs; optional chunks with a wrong checksum are left out too."""
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
    """The restart marker that would begin the next interval."""
    last = max((body.rfind(b"\xff" + bytes([mark])), mark) for mark in range(0xD0, 0xD8))
    return b"\xff" + bytes([0xD0 if last[0] < 0 else 0xD0 + (last[1] - 0xD0 + 1) % 8])


def _has_all_scans(data):
    """Whether a progressive JPEG has the last scan of every component.

    Between two scans nothing shows that more should follow, so any filling would decode to the same coarse picture.
    """
    frames = list(_PROGRESSIVE.finditer(data))
    if not frames:
        return True
    frame = frames[-1]  # an earlier one is the thumbnail's
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
