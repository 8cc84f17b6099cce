"""Limits on the size of an image: above any usual photo, below what would fill a server's memory."""

from __future__ import annotations

from datasets.imagedb.images.formats import BadImage

# Decoding this many pixels takes half a gigabyte; for WebP one gigabyte, for AVIF or HEIC with alpha 1.2 to 1.5.
MAX_PIXELS = 64_000_000
MAX_SIDE = 1 << 16  # pixels; far above any camera
MAX_BYTES = 256 << 20  # MAX_PIXELS uncompressed, four bytes each
# For formats that Pillow decodes in Python: run-length BMP, and PPM that is not 8-bit. Half of this takes a second.
SLOW_PIXELS, SLOW_BYTES = 2_000_000, 8 << 20


def check_length(length: int) -> None:
    """Raise BadImage for a file of too many bytes."""
    if length > MAX_BYTES:
        raise BadImage(f"more than {MAX_BYTES >> 20} MiB")


def check_size(width: int, height: int) -> None:
    """Raise BadImage for too many pixels. Called when only the header has been read."""
    if width * height > MAX_PIXELS:
        raise BadImage(f"{width}x{height} is more than {MAX_PIXELS:,} pixels")
    if max(width, height) > MAX_SIDE:
        raise BadImage(f"{width}x{height} is more than {MAX_SIDE} pixels along a side")
