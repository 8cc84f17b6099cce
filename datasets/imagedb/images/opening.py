"""Opens an image with the decoder of its format, after checking the announced sizes against the limits."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import PIL
from PIL import Image, UnidentifiedImageError, features

from datasets.imagedb.images.avif import still_avif
from datasets.imagedb.images.formats import BadImage
from datasets.imagedb.images.heic import announced_size, decoded, is_installed
from datasets.imagedb.images.pixel_budget import Turn
from datasets.imagedb.images.size_limits import MAX_PIXELS, SLOW_BYTES, SLOW_PIXELS, check_size
from datasets.imagedb.images.tiff import first_page

_SMALL_BYTES = 16 << 20  # a larger file takes the whole pixel budget, because it is read into memory
_SMALL_FRAME = 1 << 16  # allowed pixels of a frame, even in a smaller image


@dataclass(frozen=True)
class Picture:
    """A file ready to be decoded, the number of pixels to reserve for it, and the remarks about it."""

    file: BinaryIO
    format_name: str
    pixels: int = 0
    remark: str | None = None

    def open(self, turn: Turn | None = None) -> Image.Image:
        """Wait for the turn, then open the image and read only its header. Raises BadImage and Pillow's exceptions."""
        if self.format_name == "HEIC":
            return self._decoded_heic(turn)
        self.file.seek(0)
        try:
            image = Image.open(self.file, formats=(self.format_name,))
        except UnidentifiedImageError as error:
            if self.format_name != "TIFF":
                raise
            raise BadImage("TIFF of this kind is not supported: save it as PNG or JPEG") from error
        check_size(*image.size)
        _check_speed(image, self.file)
        pixels = image.width * image.height
        if self.pixels > 4 * pixels + _SMALL_FRAME:
            raise BadImage(f"damaged {self.format_name}: it holds more pixels than {image.width}x{image.height}")
        if turn is not None:
            turn.take(max(self.pixels, pixels))
        if self.format_name == "AVIF":  # only its boxes give the orientation; Pillow would also apply EXIF's
            image.info.pop("xmp", None)
        return image

    def _decoded_heic(self, turn):
        if turn is not None:
            turn.take(self.pixels)
        self.file.seek(0)
        return decoded(self.file.read())


def picture(file: BinaryIO, format_name: str, turn: Turn) -> Picture:
    """The image of a file in this format, checked and not yet decoded. Raises BadImage."""
    prepare = _PREPARE.get(format_name)
    if prepare is None:
        return Picture(file, format_name)
    if file.seek(0, os.SEEK_END) > _SMALL_BYTES:
        turn.take(MAX_PIXELS)
    file.seek(0)
    return prepare(file)


def _avif(file):
    if not features.check("avif"):
        raise BadImage("AVIF needs Pillow 11.3 or newer: pip install --upgrade pillow")
    data, (width, height) = still_avif(file.read())
    check_size(width, height)
    return Picture(BytesIO(data), "AVIF", width * height)


def _heic(file):
    if not is_installed():
        raise BadImage("HEIC needs the package pi-heif: pip install pi-heif")
    width, height = announced_size(file.read())
    check_size(width, height)
    return Picture(file, "HEIC", width * height)


def _tiff(file):
    data, remark = first_page(file.read())
    return Picture(BytesIO(data), "TIFF", remark=remark)


_PREPARE: dict[str, Callable[[BinaryIO], Picture]] = {"AVIF": _avif, "HEIC": _heic, "TIFF": _tiff}


def _check_speed(image, file):
    """Refuse large images in formats that Pillow decodes in Python: they could keep a core busy for minutes."""
    if not image.tile or image.tile[0][0] not in Image.DECODERS:
        return
    if image.width * image.height > SLOW_PIXELS or file.seek(0, os.SEEK_END) > SLOW_BYTES:
        most = f"{SLOW_PIXELS:,} pixels or {SLOW_BYTES >> 20} MiB"
        raise BadImage(f"more than {most}, the most for a {image.format} of this rare kind; save it as PNG")


def _silence_libtiff():
    """Stop libtiff from writing a line to standard error for each fault in a file. Pillow raises exceptions anyway."""
    for path in (Path(PIL.__file__).parent.parent / "pillow.libs").glob("libtiff-*.so*"):
        library = ctypes.CDLL(str(path))
        for name in ("TIFFSetErrorHandler", "TIFFSetErrorHandlerExt"):
            handler = getattr(library, name)
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)


_silence_libtiff()
