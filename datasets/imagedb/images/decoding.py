"""Decodes one image, and encodes it for a record.

decode() follows these rules, so that training and inference see the same pixels:
- the format is recognised by content, and only the decoder of that format is tried;
- the first frame of an animation and the first page of a TIFF is taken, the main picture of a HEIC;
- orientation is applied, colour profiles are ignored;
- transparent pixels are put onto a background colour (`alpha_background`, see transparency.py);
- 16-bit samples are scaled so that `white_level` becomes 255 (see depth.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from datasets.imagedb.images.depth import FULL_RANGE, declared_white, eight_bits, highest_sample, is_deep
from datasets.imagedb.images.formats import READABLE, SIGNATURE_BYTES, BadImage, sniff
from datasets.imagedb.images.mending import MENDED, mended
from datasets.imagedb.images.opening import Picture, picture
from datasets.imagedb.images.pixel_budget import PixelBudget, Turn
from datasets.imagedb.images.resize import resize
from datasets.imagedb.images.size_limits import MAX_PIXELS, check_length, check_size
from datasets.imagedb.images.tiff import REAL_NUMBERS
from datasets.imagedb.images.transparency import IGNORE, WHITE, flattened, transparent_colour

_SOMETIMES_DEEP = ("PNG", "PPM", "TIFF")
_PNG_BITS = 24  # offset of the bits per sample in a PNG
_TURNS = PixelBudget(2 * MAX_PIXELS)
_RECORD_FORMATS = ("PNG", "JPEG", "BMP")
_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ENCODERS: dict[str, dict[str, Any]] = {
    # BMP is uncompressed and still has its size and type in a header.
    "none": {"format": "BMP"},
    # Level 1 writes photos three times as fast as the default 6, and a tenth larger.
    "png": {"format": "PNG", "compress_level": 1},
    # At training sizes chroma matters, so there is no subsampling (4:4:4).
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}


def open_image(path: Path) -> BinaryIO:
    """Open an image file. O_NONBLOCK, because opening a pipe would block for ever."""
    return open(path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))


def _say_nothing(remark: str) -> None:
    """The default receiver of remarks: ignores them."""


@dataclass(frozen=True)
class Look:
    """The conversion of transparency and 16-bit samples to 8-bit pixels, the same for all images of a dataset.

    `remark` is called with a text if an image can be used but has a flaw that users should know.
    """

    alpha_background: str = WHITE
    white_level: int = FULL_RANGE
    remark: Callable[[str], None] = _say_nothing


def decode(
    source: Path | bytes | BinaryIO, opener: Callable[[Path], BinaryIO] = open_image, look: Look = Look()
) -> Image.Image:
    """The whole image, upright, in mode L or RGB. Raises BadImage. A BinaryIO must be seekable and at its start.

    `opener` opens a Path, and decode() closes the file; it can raise OSError or BadImage.
    """
    with Turn(_TURNS) as turn:
        return _read(source, opener, turn, partial(_load, look), look.remark)


def highest_deep_sample(path: Path, opener: Callable[[Path], BinaryIO] = open_image) -> int | None:
    """The highest sample of an image with 16 bits per channel; None for any other image. Raises BadImage."""
    with Turn(_TURNS) as turn:
        return _read(path, opener, turn, _highest, _say_nothing)


def _read(source, opener, turn, read, remark):
    """Open the source and return read(picture, turn). `turn` reserves the image's memory until it is given back."""
    with _opened(source, opener) as file:
        head = file.read(SIGNATURE_BYTES)
        format_name = sniff(head)
        if format_name is None:
            raise BadImage(f"not an image of a known format ({READABLE})" if head else "the file is empty")
        try:
            found = picture(file, format_name, turn)
            if found.remark:
                remark(found.remark)
            return _whole_or_mended(found, turn, read, remark)
        except BadImage:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise BadImage(f"more than {MAX_PIXELS:,} pixels") from error
        except MemoryError as error:
            raise BadImage("needs more memory than is available") from error
        except UnidentifiedImageError as error:  # its text names the file object
            raise BadImage(f"damaged {format_name}: its header can't be read") from error
        except Exception as error:  # a hostile file can make Pillow's parsers raise almost anything
            raise BadImage(f"damaged {format_name}: {_reason(error)}") from error


def _whole_or_mended(found, turn, read, remark):
    """Return read(found, turn), or, if the file is damaged only outside its pixels, read() of the repaired file."""
    try:
        return read(found, turn)
    except BadImage:
        raise
    except (OSError, SyntaxError, ValueError) as damage:
        found.file.seek(0)
        results = []
        for data in mended(found.file.read(), found.format_name):
            turn.give_back()  # release what the previous attempt took from the budget
            results.append(read(Picture(BytesIO(data), found.format_name), turn))
        if not results or any(result != results[0] for result in results):
            raise damage
        remark(MENDED[found.format_name])
        return results[0]


def to_array(image: Image.Image, channels: int) -> np.ndarray:
    """The image as uint8, H×W×C, RGB. Gray is the ITU-R 601 luma (0.299 R + 0.587 G + 0.114 B), rounded by Pillow."""
    mode = "L" if channels == 1 else "RGB"
    array = np.asarray(image if image.mode == mode else image.convert(mode))
    return array.reshape(image.height, image.width, channels)


def read_array(
    source: Path | bytes | BinaryIO,
    width: int,
    height: int,
    channels: int,
    resize_mode: str,
    opener: Callable[[Path], BinaryIO] = open_image,
    alpha_background: str = WHITE,
    white_level: int = FULL_RANGE,
    remark: Callable[[str], None] = _say_nothing,
) -> np.ndarray:
    """The network's pixels of a file: uint8, H×W×C. Building and classifying both use this function."""
    with Turn(_TURNS) as turn:
        look = Look(alpha_background, white_level, remark)
        image = _read(source, opener, turn, partial(_load, look), remark)
        return to_array(resize(image, width, height, resize_mode), channels)


def encode(array: np.ndarray, encoding: str) -> bytes:
    """Encode uint8, H×W×C, as the bytes of a record: "none" is a BMP, "png" is lossless, "jpg" is lossy."""
    image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    buffer = BytesIO()
    image.save(buffer, **_ENCODERS[encoding])
    return buffer.getvalue()


def decode_record(payload: bytes) -> np.ndarray:
    """The inverse of encode(): uint8, H×W×C, with C 1 or 3 as stored. Raises BadImage."""
    try:
        image = Image.open(BytesIO(payload), formats=_RECORD_FORMATS)
        check_size(*image.size)
        array = np.asarray(flattened(_in_eight_bits(image), IGNORE, None, _say_nothing))
    except BadImage:
        raise
    except Exception as error:  # as in decode()
        raise BadImage(f"damaged record: {_reason(error)}") from error
    return array.reshape(array.shape[0], array.shape[1], -1)


@contextmanager
def _opened(source, opener):
    """The source as a seekable binary file of at most MAX_BYTES."""
    if isinstance(source, Path):
        try:
            file = opener(source)
        except OSError as error:
            raise BadImage(_reason(error)) from error
        with file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BadImage("not a regular file")
            check_length(status.st_size)
            yield file
    elif isinstance(source, bytes):
        check_length(len(source))
        yield BytesIO(source)
    else:
        check_length(source.seek(0, os.SEEK_END))
        source.seek(0)
        yield source


def _load(look, found, turn):
    image = found.open(turn)
    colour, declared = transparent_colour(image), declared_white(image)
    white = declared or look.white_level
    if declared or (is_deep(image) and (white != FULL_RANGE or _has_key(image, look))):
        samples, colour = eight_bits(image, found.open, white), None
    else:
        image.load()
        samples = _in_eight_bits(image)
    flat = flattened(samples, look.alpha_background, colour, look.remark)
    return _upright(flat, _orientation(image))  # which is 1 where the decoder turned it, as those of HEIC and TIFF do


def _has_key(image, look):
    return "transparency" in image.info and look.alpha_background != IGNORE


def _highest(found, turn):
    if found.format_name not in _SOMETIMES_DEEP or (found.format_name == "PNG" and _png_bits(found.file) != 16):
        return None
    image = found.open(turn)
    return highest_sample(image, found.open) if is_deep(image) else None


def _png_bits(file):
    """The number of bits of a sample."""
    file.seek(_PNG_BITS)
    return ord(file.read(1) or b"\0")


def _in_eight_bits(image):
    """A loaded image, converted to a mode of 8 bits per channel."""
    if image.mode.startswith("I"):  # I;16 … from PNG, I from PPM
        return Image.fromarray((np.clip(np.asarray(image), 0, 0xFFFF) >> 8).astype(np.uint8))
    if image.mode == "F":
        raise BadImage(REAL_NUMBERS)
    return image


def _orientation(image):
    try:
        return image.getexif().get(_EXIF_ORIENTATION)
    except Exception:  # noqa: BLE001 - broken EXIF data counts as none
        return None


def _upright(image, orientation):
    transpose = _UPRIGHT.get(orientation)
    return image if transpose is None else image.transpose(transpose)


def _reason(error):
    """An exception's text, of an OSError without errno and path."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().rstrip(".")
