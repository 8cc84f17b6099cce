"""How large an image may be: more than people's pictures are, less than what fills the memory of a server."""

from __future__ import annotations

from datasets.imagedb.images.formats import BadImage

# Take half a gigabyte while they are decoded, of a WebP a whole one, of an AVIF or HEIC with alpha 1.2 to 1.5.
MAX_PIXELS = 64_000_000
MAX_SIDE = 1 << 16  # pixels; nothing that people take pictures with comes near
MAX_BYTES = 256 << 20  # MAX_PIXELS uncompressed, four bytes each
# What Pillow decodes in Python, BMP with run lengths and PPM of other than 8 bits: a second for half of this.
SLOW_PIXELS, SLOW_BYTES = 2_000_000, 8 << 20


def check_length(length: int) -> None:
    """Raise BadImage for a file of too many bytes."""
    if length > MAX_BYTES:
        raise BadImage(f"more than {MAX_BYTES >> 20} MiB")


def check_size(width: int, height: int) -> None:
    """Raise BadImage for too many pixels. What calls it has read no more than a header."""
    if width * height > MAX_PIXELS:
        raise BadImage(f"{width}x{height} is more than {MAX_PIXELS:,} pixels")
    if max(width, height) > MAX_SIDE:
        raise BadImage(f"{width}x{height} is more than {MAX_SIDE} pixels along a side")
