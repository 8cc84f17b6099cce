"""Scales 16-bit samples to 8 bits, by the range that the images of a dataset use.

Cameras and X-ray machines write 10, 12 or 14 bits into 16-bit files, so the range of the file does not tell what is
white. The white level is the sample value that becomes 255. All images of a dataset, and images classified later, use
the same white level. A white level of FULL_RANGE keeps the high byte of every sample.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from PIL import Image

FULL_RANGE = 0xFFFF
DEPTHS = (8, 10, 12, 14, 16)  # bits of existing sensors
_BLOCK_SAMPLES = 1 << 22
_DECLARED_WHITE = {"I;12": 0xFFF}  # TIFF can declare samples of 12 bits
_UNDECLARED = re.compile(r"I;16[BLNR]?|(LA|RGB|RGBX|RGBA);16[BLN]|RGB,65535")
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B"}  # "N" (native) means "L" on all supported processors


def white_level_for(highest: int) -> int:
    """The white level of the smallest depth that holds the highest sample."""
    return next((1 << bits) - 1 for bits in DEPTHS if highest < 1 << bits)


def is_deep(image: Image.Image) -> bool:
    """Whether an image, opened and not yet loaded, has 16-bit samples and does not declare its white level.

    A PPM file whose maximum is not 65535 declares it, and Pillow scales by it.
    """
    tiles = _tiles(image)
    return bool(tiles) and all(_is_undeclared(_raw_mode(tile)) for tile in tiles)


def declared_white(image: Image.Image) -> int | None:
    """The white level that the file declares, if Pillow does not scale by it. Call this before the image is loaded."""
    tiles = _tiles(image)
    return _DECLARED_WHITE.get(_raw_mode(tiles[0])) if tiles else None


def highest_sample(image: Image.Image, again: Callable[[], Image.Image]) -> int:
    """The highest sample of any colour. See eight_bits() for the arguments."""
    colours = slice(None, -1) if _has_alpha(image) else slice(None)
    return max(int(block[:, :, colours].max()) for block in _blocks(image, again))


def eight_bits(image: Image.Image, again: Callable[[], Image.Image], white: int) -> Image.Image:
    """The image with samples scaled from 0..white to 0..255, in mode L, LA, RGB or RGBA.

    `image` is opened and not yet loaded. `again` opens the same file a second time, because Pillow returns one byte of
    each sample at a time. A transparent colour of the file becomes an alpha channel; it is compared in all 16 bits.
    """
    key, has_alpha = image.info.get("transparency"), _has_alpha(image)
    table, parts = _table(white), []
    for block in _blocks(image, again):
        channels = [table[block[:, :, :-1] if has_alpha else block]]
        if has_alpha:
            channels.append((block[:, :, -1:] >> 8).astype(np.uint8))
        elif key is not None:
            opaque = (block != np.asarray(key)).any(axis=2, keepdims=True)
            channels.append(opaque.astype(np.uint8) * 255)
        parts.append(np.concatenate(channels, axis=2))
    array = np.concatenate(parts)
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


@lru_cache
def _is_undeclared(raw_mode):
    return _UNDECLARED.fullmatch(raw_mode) is not None


def _tiles(image):
    """Pillow's tiles that are not decoded yet; none if another process has decoded the image."""
    return getattr(image, "tile", ())


def _table(white):
    """A lookup table from 16-bit samples to 8-bit samples."""
    samples = np.arange(FULL_RANGE + 1)
    if white == FULL_RANGE:
        return (samples >> 8).astype(np.uint8)
    return ((np.minimum(samples, white) * 255 + white // 2) // white).astype(np.uint8)


def _has_alpha(image):
    return image.mode == "RGBA"  # also for gray with alpha, which has no mode of its own in Pillow


def _blocks(image, again) -> Iterator[np.ndarray]:
    """Blocks of uint16, rows×width×channels, from top to bottom; 1, 2 (gray and alpha), 3 or 4 channels."""
    sources = [image]
    if _raw_mode(image.tile[0]).startswith("LA"):
        _set_raw_mode(image, lambda mode: "RGBA")  # the four bytes of a pixel as if they were four channels
    elif not image.mode.startswith("I"):
        _set_raw_mode(image, lambda mode: mode)
        image.load()  # before the file is read again for the other byte
        sources.append(again())
        _set_raw_mode(sources[1], lambda mode: mode[:-1] + _OTHER_BYTE[mode[-1]])
    pairs = len(sources) == 1 and image.mode == "RGBA"
    for source in sources:
        source.load()
    rows = max(1, _BLOCK_SAMPLES // (image.width * 4))
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        arrays = [np.asarray(source.crop(box)) for source in sources]
        if pairs:
            arrays = [arrays[0][:, :, 0::2], arrays[0][:, :, 1::2]]
        block = arrays[0].clip(0, FULL_RANGE).astype(np.uint16)
        if len(arrays) == 2:
            block = block << 8 | arrays[1]
        yield block.reshape(block.shape[0], image.width, -1)


def _raw_mode(tile):
    """Pillow's raw mode of a tile, and the maximum of a PPM file by which Pillow scales."""
    if tile.codec_name in ("ppm", "ppm_plain"):
        return ",".join(map(str, tile.args))
    return tile.args if isinstance(tile.args, str) else str(tile.args[0])


def _set_raw_mode(image, change):
    image.tile = [_with_raw_mode(tile, change) for tile in image.tile]


def _with_raw_mode(tile, change):
    if tile.codec_name == "ppm":  # a Python loop that keeps 8 bits
        return tile._replace(codec_name="raw", args=(change("RGB;16B"), 0, 1))
    if isinstance(tile.args, str):
        return tile._replace(args=change(tile.args))
    return tile._replace(args=(change(tile.args[0]), *tile.args[1:]))
