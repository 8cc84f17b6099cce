"""Which formats of images are read, told by a file's first bytes."""

from __future__ import annotations

import re

SIGNATURE_BYTES = 18
READABLE = "PNG, JPEG, BMP, PPM (P5, P6) or WebP"

_SIGNATURES = (
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("WEBP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    ("PPM", re.compile(rb"P[56][\s#]")),
    # "BM" alone begins many a text: the length of the second header, which follows, is one of these.
    ("BMP", re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00", re.DOTALL)),
)


def sniff(head: bytes) -> str | None:
    """The format that the first SIGNATURE_BYTES of a file announce, or None if it is not one that is read."""
    return next((name for name, signature in _SIGNATURES if signature.match(head)), None)
