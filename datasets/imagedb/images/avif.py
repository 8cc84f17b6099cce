"""Reads the real frame sizes of an AVIF file before it is decoded.

libavif checks only the size that the container announces; then it decodes frames up to 16384×16384 and scales them.
In a film that also has a still image, only the still image is decoded, so only that is checked.
"""

from __future__ import annotations

from datasets.imagedb.images.av1 import BadBitstream, largest_frame
from datasets.imagedb.images.boxes import BadBoxes, Boxes
from datasets.imagedb.images.formats import BadImage

_STILL = b"avif"
_BRAND = slice(8, 12)


def still_avif(data: bytes) -> tuple[bytes, tuple[int, int]]:
    """The file, set to decode its still image, and (width, height) of its largest frame. Raises BadImage."""
    try:
        boxes = Boxes(data)
        kinds, contents = boxes.kinds(), boxes.contents()
        sizes = [largest_frame(contents[item]) for item in contents if kinds.get(item) == b"av01"]
    except (BadBoxes, BadBitstream) as error:
        raise BadImage(f"damaged AVIF: {error}") from error
    largest = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    return data[: _BRAND.start] + _STILL + data[_BRAND.stop :], largest
