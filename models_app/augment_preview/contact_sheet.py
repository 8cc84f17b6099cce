"""Draws images beside each other as one PNG, without changing a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

COLUMNS = 3
GAP = 4  # pixels between two images
BACKGROUND = 255


def place_of(number: int, height: int, width: int) -> tuple[int, int]:
    """The left and top pixel of the image with this number, from 0."""
    row, column = divmod(number, COLUMNS)
    return column * (width + GAP), row * (height + GAP)


def sheet(images: Sequence[np.ndarray]) -> bytes:
    """The PNG of images, uint8 C×H×W, all of one shape. Raises ValueError without images."""
    if not images:
        raise ValueError("there are no images to draw")
    channels, height, width = images[0].shape
    rows = -(-len(images) // COLUMNS)
    drawn = np.full(
        (rows * (height + GAP) - GAP, min(COLUMNS, len(images)) * (width + GAP) - GAP, channels), BACKGROUND, np.uint8
    )
    for number, image in enumerate(images):
        left, top = place_of(number, height, width)
        drawn[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    file = BytesIO()
    Image.fromarray(drawn[:, :, 0] if channels == 1 else drawn).save(file, "PNG")
    return file.getvalue()
