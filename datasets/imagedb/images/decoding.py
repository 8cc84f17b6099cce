"""Decodes one image.

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
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from io import BytesIO, FileIO
from pathlib import Path
from typing import BinaryIO

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
_SMALL_FILE = 1 << 20  # bytes
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


def divide_budget(processes: int) -> None:
    """Share the budget of decoded pixels with the other processes of this host that decode for the same clients."""
    _TURNS.divide(processes)


def open_image(path: str | Path) -> FileIO:
    """Open an image file. O_NONBLOCK, because opening a pipe would block for ever."""
    return FileIO(path, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))


def _say_nothing(remark: object) -> None:
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
    source: str | Path | bytes | BinaryIO, opener: Callable[[str | Path], FileIO] = open_image, look: Look = Look()
) -> Image.Image:
    """The whole image, upright, in mode L or RGB. Raises BadImage. A BinaryIO must be seekable and at its start.

    `opener` opens a path, and decode() closes the file; it can raise OSError or BadImage.
    """
    with Turn(_TURNS) as turn:
        return _read(source, opener, turn, partial(_load, look), look.remark)


def decode_small(source: str | Path | bytes | BinaryIO, side: int, opener=open_image) -> tuple[Image.Image, tuple]:
    """The image, upright, in mode L or RGB, reduced to at most side × side pixels, and its own size. It only resembles
    the result of decode(): a JPEG is decoded at a fraction of its size, in a fraction of the time. Raises BadImage."""
    with Turn(_TURNS) as turn:
        return _read(source, opener, turn, partial(_load_small, side), _say_nothing)


def highest_deep_sample(path: str | Path, opener: Callable[[str | Path], FileIO] = open_image) -> int | None:
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
    return np.asarray(_with_channels(image, channels)).reshape(image.height, image.width, channels)


def _with_channels(image, channels):
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def read_image(
    source: str | Path | bytes | BinaryIO,
    width: int,
    height: int,
    channels: int,
    resize_mode: str,
    opener: Callable[[str | Path], FileIO] = open_image,
    look: Look = Look(),
    tell_size: Callable[[tuple[int, int]], None] = _say_nothing,
) -> Image.Image:
    """The network's pixels of a file, in mode L or RGB, without metadata. Building and classifying both use this
    function. `tell_size` gets the width and the height before the resize."""
    with Turn(_TURNS) as turn:
        image = _read(source, opener, turn, partial(_load, look), look.remark)
        tell_size(image.size)
        resized = _with_channels(resize(image, width, height, resize_mode), channels)
    resized.info = {}  # for example a colour profile, which a record does not have
    return resized


def read_array(
    source: str | Path | bytes | BinaryIO,
    width: int,
    height: int,
    channels: int,
    resize_mode: str,
    opener: Callable[[str | Path], FileIO] = open_image,
    alpha_background: str = WHITE,
    white_level: int = FULL_RANGE,
    remark: Callable[[str], None] = _say_nothing,
) -> np.ndarray:
    """read_image() as uint8, H×W×C."""
    look = Look(alpha_background, white_level, remark)
    return to_array(read_image(source, width, height, channels, resize_mode, opener, look), channels)


def decode_record(payload: bytes) -> np.ndarray:
    """The inverse of store.payloads.encode(): uint8, H×W×C, with C 1 or 3 as stored. Raises BadImage."""
    try:
        image = Image.open(BytesIO(payload), formats=_RECORD_FORMATS)
        check_size(*image.size)
        array = np.asarray(flattened(_in_eight_bits(image), IGNORE, None, _say_nothing))
    except BadImage:
        raise
    except Exception as error:  # as in decode()
        raise BadImage(f"damaged record: {_reason(error)}") from error
    return array.reshape(array.shape[0], array.shape[1], -1)


def _opened(source, opener) -> AbstractContextManager[BinaryIO]:
    """The source as a seekable binary file of at most MAX_BYTES."""
    if isinstance(source, (str, Path)):
        return _opened_path(source, opener)
    if isinstance(source, bytes):
        check_length(len(source))
        return BytesIO(source)
    check_length(source.seek(0, os.SEEK_END))
    source.seek(0)
    return nullcontext(source)


def _opened_path(path, opener):
    """The opened file. A small one is read at once, because a decoder would read it in many pieces."""
    try:
        with opener(path) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BadImage("not a regular file")
            check_length(status.st_size)
            if status.st_size <= _SMALL_FILE:
                data = file.read(status.st_size + 1)
                if len(data) == status.st_size:
                    return BytesIO(data)
                file.seek(0)  # another process writes to it
            return os.fdopen(os.dup(file.fileno()), "rb")
    except OSError as error:
        raise BadImage(_reason(error)) from error


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


def _load_small(side, found, turn):
    image = found.open(turn)
    size, colour = image.size, transparent_colour(image)
    image.draft(None, (side, side))
    image.load()
    small = _upright(flattened(_in_eight_bits(image), WHITE, colour, _say_nothing), _orientation(image))
    small.thumbnail((side, side))
    return small, size


def _has_key(image, look):
    return "transparency" in image.info and look.alpha_background != IGNORE


def can_be_deep(head: bytes) -> bool:
    """Whether a file with these first SIGNATURE_BYTES can have 16 bits per channel."""
    format_name = sniff(head)
    return format_name in _SOMETIMES_DEEP and (format_name != "PNG" or head[_PNG_BITS : _PNG_BITS + 1] == b"\x10")


def _highest(found, turn):
    found.file.seek(0)
    if not can_be_deep(found.file.read(SIGNATURE_BYTES)):
        return None
    image = found.open(turn)
    return highest_sample(image, found.open) if is_deep(image) else None


def _in_eight_bits(image):
    """A loaded image, converted to a mode of 8 bits per channel."""
    if image.mode.startswith("I"):  # I;16 … from PNG, I from PPM
        return Image.fromarray((np.clip(np.asarray(image), 0, 0xFFFF) >> 8).astype(np.uint8))
    if image.mode == "F":
        raise BadImage(REAL_NUMBERS)
    return image


def _orientation(image):
    if not image.info:
        return None
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
