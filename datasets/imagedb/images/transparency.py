"""Composites transparent images onto a background colour, as viewers do.

With `IGNORE` in place of a colour, the alpha channel is dropped and the colours under transparent pixels are kept.
Datasets that were built before there was a background have IGNORE.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from PIL import Image

IGNORE = "ignore"
WHITE = "white"
INVISIBLE = "every pixel is transparent, so only the background is left"
_NAMED_COLOURS = {WHITE: (255, 255, 255), "black": (0, 0, 0)}
_HEX_COLOUR = re.compile(r"#[0-9a-f]{6}")
_GRAY_MODES = ("1", "L", "LA", "La")
_ALPHA_MODES = ("LA", "La", "RGBA", "RGBa", "PA")
# PNG stores a transparent gray in 2 or 4 bits; Pillow scales the pixels to 8 bits, but not that gray.
_SPREAD = {"L;2": 85, "L;4": 17}


def is_background(text: str) -> bool:
    """Whether the text is white, black, a colour such as #ff8800, or IGNORE."""
    return text == IGNORE or text in _NAMED_COLOURS or _HEX_COLOUR.fullmatch(text) is not None


def transparent_colour(image: Image.Image) -> int | tuple[int, ...] | bytes | None:
    """The transparency that the file declares without an alpha channel: a colour in 8-bit samples, or a palette's
    alphas.

    Call this before the image is loaded, because Pillow then forgets the number of bits.
    """
    declared = image.info.get("transparency")
    if isinstance(declared, tuple):
        return tuple(sample & 0xFF for sample in declared)
    tile = getattr(image, "tile", None)  # of an image that is read from a file
    if isinstance(declared, int) and tile:
        return (declared * _SPREAD.get(tile[0].args, 1)) & 0xFF
    return declared


def flattened(
    image: Image.Image,
    background: str,
    colour: int | tuple[int, ...] | bytes | None,
    remark: Callable[[str], None],
) -> Image.Image:
    """Composite a loaded 8-bit image; the result has mode L or RGB. `colour` is the result of transparent_colour()."""
    if background == IGNORE or (colour is None and image.mode not in _ALPHA_MODES):
        image.info.pop("transparency", None)  # otherwise Pillow warns about a palette's transparency
        return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode in _GRAY_MODES else "RGB")
    image = _with_alpha_channel(image, colour)
    alpha = image.getchannel("A")
    if alpha.getextrema()[1] == 0:
        remark(INVISIBLE)
    red, green, blue = _rgb(background)
    stays_gray = image.mode == "LA" and red == green == blue
    flat = Image.new("L" if stays_gray else "RGB", image.size, red if stays_gray else (red, green, blue))
    flat.paste(image if image.mode == "RGBA" else image.convert(flat.mode), mask=alpha)
    return flat


def _with_alpha_channel(image, colour):
    """The image with an alpha channel: LA if it is gray, else RGBA."""
    if image.mode not in _GRAY_MODES:
        if colour is not None:
            image.info["transparency"] = colour
        return image.convert("RGBA")
    if image.mode in ("LA", "La"):
        return image.convert("LA")
    gray = image.convert("L")
    return Image.merge("LA", (gray, gray.point(lambda value: 0 if value == colour else 255)))


def _rgb(background):
    return _NAMED_COLOURS.get(background) or tuple(bytes.fromhex(background[1:]))
