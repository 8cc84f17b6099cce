"""The list of supported image formats, with the first bytes by which they are recognised. Messages and pages use it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from digits_project.common.errors import BadInput

if TYPE_CHECKING:
    from PIL import Image

SIGNATURE_BYTES = 64  # the list of compatible brands of a HEIC or AVIF file must fit


class BadImage(BadInput):
    """The image can't be used. The text says why, without the image's name."""


@dataclass(frozen=True)
class Format:
    """A supported format. `name` is Pillow's name or the one in messages, `shown` the name in lists for users."""

    name: str
    shown: str
    suffixes: tuple[str, ...]
    signature: re.Pattern[bytes]


def _format(name, signature, suffixes, shown=""):
    pattern = re.compile(signature, re.DOTALL)
    return Format(name, shown or name, tuple(f".{suffix}" for suffix in suffixes.split()), pattern)


# Boxes of ISO/IEC 14496-12: the brand, a version, then brands that the file is compatible with. "mif1" and the like say
# only that it is an image.
_HEIF = rb"....ftyp(?:mif[12]|msf1|miaf|heif)....(?:....)*?"
FORMATS = (
    _format("PNG", rb"\x89PNG\r\n\x1a\n", "png apng"),
    _format("JPEG", rb"\xff\xd8\xff", "jpg jpeg jpe jfif jif"),
    # "BM" alone also begins many texts; in a BMP the length of the second header follows, which is one of these.
    _format("BMP", rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00", "bmp dib"),
    _format("PPM", rb"P[56][\s#]", "ppm pgm pnm", shown="PPM (P5, P6)"),
    _format("WEBP", rb"RIFF.{4}WEBP", "webp", shown="WebP"),
    _format("HEIC", rb"....ftyphe[iv][cxms]|" + _HEIF + rb"he[iv][cxms]", "heic heics heif heifs hif"),
    _format("AVIF", rb"....ftypavi[fs]|" + _HEIF + rb"avi[fs]", "avif avifs"),
    # Also BigTIFF; not Canon's CR2, which says so at byte 8.
    _format("TIFF", rb"II[*+]\0(?!.{4}CR)|MM\0[*+]", "tif tiff"),
)
READABLE = ", ".join(known.shown for known in FORMATS[:-1]) + f" or {FORMATS[-1].shown}"
SUFFIXES = tuple(suffix for known in FORMATS for suffix in known.suffixes)
# For the file fields of pages. With image/* alone, a browser would hide files whose suffix it does not know.
ACCEPTED = ",".join(("image/*", *SUFFIXES))


def sniff(head: bytes) -> str | None:
    """The format by the first SIGNATURE_BYTES of a file; None if it is not a supported one."""
    return next((known.name for known in FORMATS if known.signature.match(head)), None)


def png_url(image: Image.Image) -> str:
    """An image as the address of a PNG that holds it."""
    file = BytesIO()
    image.save(file, "PNG")
    return data_url(file.getvalue(), "image/png")


def data_url(content: bytes, media_type: str) -> str:
    """An image as an address that holds it, for pages and JSON."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
