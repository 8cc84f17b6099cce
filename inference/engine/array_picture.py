"""Draws an array as a picture for a page: tiles in a grid, for any number of values. Plain Python."""

import numpy as np
from PIL import Image

from datasets.imagedb.images.formats import png_url

SIDE = 320  # pixels; no picture is wider or higher
MAX_TILES = 144
MAX_NUMBERS = 4096  # of a vector
MAX_IN_A_ROW = 64  # numbers of a vector
LARGEST_GROWTH = 16
WHITE = 255


def picture(values: np.ndarray, colour: bool = False, span: tuple[float, float] | None = None) -> str:
    """`data:image/png;base64,…` of any array: C×H×W and N×C×H×W as gray tiles, a matrix as one tile, a vector as a
    strip.

    The first number of `span` is black, the second white; without it, the smallest and the largest shown value. With
    `colour`, three channels make one tile in colour.
    """
    return png_url(Image.fromarray(_grid(_brightness(_tiles(values, colour), span))))


def _tiles(values: np.ndarray, colour: bool) -> np.ndarray:
    """N×H×W×1, or N×H×W×3 in colour, cut to the size of the picture."""
    if colour and values.ndim >= 3 and values.shape[-3] == 3:
        tiles = values.reshape(-1, *values.shape[-3:]).transpose(0, 2, 3, 1)
    else:
        height, width = values.shape[-2:] if values.ndim >= 2 else (1, 1)
        tiles = values.reshape(-1, height, width, 1)
    tiles = tiles[: MAX_NUMBERS if tiles.shape[1:3] == (1, 1) else MAX_TILES]
    rows, columns = (-(-size // _room(tiles)) for size in tiles.shape[1:3])  # every n-th value, to fit
    if values.ndim > 2:  # an image keeps its proportions
        rows = columns = max(rows, columns)
    return tiles[:, ::rows, ::columns]


def _brightness(tiles: np.ndarray, span: tuple[float, float] | None) -> np.ndarray:
    """The values as 0 to 255; values that are not finite are black."""
    finite = np.isfinite(tiles)
    if span is None:
        known = tiles[finite]
        span = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    low, high = span
    scaled = (np.where(finite, tiles, low).astype(np.float64) - low) / ((high - low) or 1)
    return np.round(scaled.clip(0, 1) * WHITE).astype(np.uint8)


def _grid(tiles: np.ndarray) -> np.ndarray:
    """The tiles side by side, enlarged as much as possible, with white lines between them."""
    columns = _columns(tiles)
    growth = max(1, min(LARGEST_GROWTH, _room(tiles) // max(tiles.shape[1:3])))
    tiles = tiles.repeat(growth, axis=1).repeat(growth, axis=2)
    count, height, width, channels = tiles.shape
    rows = -(-count // columns)
    grid = np.full((rows * columns, height + 1, width + 1, channels), WHITE, np.uint8)
    grid[:count, :height, :width] = tiles
    grid = grid.reshape(rows, columns, height + 1, width + 1, channels).swapaxes(1, 2)
    grid = grid.reshape(rows * (height + 1), columns * (width + 1), channels)[:-1, :-1]
    return grid if channels == 3 else grid[:, :, 0]


def _columns(tiles: np.ndarray) -> int:
    if tiles.shape[1:3] == (1, 1):
        return min(len(tiles), MAX_IN_A_ROW)
    return int(np.ceil(np.sqrt(len(tiles))))


def _room(tiles: np.ndarray) -> int:
    """The maximum width and height of a tile in pixels."""
    return max(1, SIDE // _columns(tiles) - 1)
