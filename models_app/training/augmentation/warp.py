"""Computes an image whose points lie elsewhere, as a matrix says: exactly where pixels fall on pixels, else bilinearly.

Pillow is called for single channels, because images are C×H×W, and because channels of uint8 need no conversion.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

MAX_SHRINKING = 1.5  # by which factor a side shrinks before the image is averaged first, which avoids aliasing
TOLERANCE = 1e-9  # in pixels
CORNERS = np.array([[0.0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]])


def warp(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """Fill `out`, uint8, C×H×W, from an image of as many channels.

    `matrix`, 3×3, maps the points (x, y, 1) of `out` to those of the image; a pixel's centre lies at half numbers.
    What lies outside of the image repeats its border.
    """
    rounded = np.rint(matrix)
    if (
        np.abs(matrix - rounded).max() < TOLERANCE
        and np.abs(rounded[:2, :2]).sum() == 2
        and _is_inside(image, rounded, out)
    ):
        _copy(image, rounded.astype(int), out)
    elif matrix[0, 1] == matrix[1, 0] == 0:
        _resize(image, matrix, out)
    else:
        _turn(image, matrix, out)


def _is_inside(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> bool:
    return _margin(image, matrix, out) <= 0


def _margin(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> float:
    """How far the corners of `out` lie outside of the image, in pixels, at most; 0 or less: not at all."""
    (_, height, width), (_, rows, columns) = image.shape, out.shape
    xs, ys, _ = matrix @ (CORNERS * [[columns], [rows], [1]])
    return max(-xs.min(), xs.max() - width, -ys.min(), ys.max() - height)


def _copy(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """Copy pixels: a crop, possibly mirrored or turned by a multiple of 90 degrees."""
    ((a, b, c), (d, e, f), _), (_, rows, columns) = matrix.tolist(), out.shape
    if a:
        out[:] = image[:, _run(e, f, rows)][:, :, _run(a, c, columns)]
    else:
        out[:] = image[:, _run(d, f, columns)][:, :, _run(b, c, rows)].transpose(0, 2, 1)


def _run(step: int, start: int, count: int) -> slice:
    """`count` pixels from the point `start` on, forwards (step 1) or backwards (-1)."""
    if step > 0:
        return slice(start, start + count)
    end = start - count - 1
    return slice(start - 1, end if end >= 0 else None, -1)


def _resize(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """Scale a rectangle, possibly mirrored. Where it shrinks, all of its pixels count."""
    margin = max(0, math.ceil(_margin(image, matrix, out) - TOLERANCE))
    (across, _, x), (_, down, y), _ = matrix
    _, rows, columns = out.shape
    left, right = sorted((x, x + across * columns))
    top, bottom = sorted((y, y + down * rows))
    _, height, width = image.shape
    box = (
        max(left + margin, 0),
        max(top + margin, 0),
        min(right + margin, width + 2 * margin),
        min(bottom + margin, height + 2 * margin),
    )
    target = out[:, :: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
    for plane, result in zip(_padded(image, margin), target, strict=True):
        result[:] = Image.fromarray(plane).resize((columns, rows), Image.Resampling.BILINEAR, box=box)


def _turn(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """Any other change: between four pixels each."""
    image, matrix = _averaged(image, matrix)
    margin = max(0, math.ceil(_margin(image, matrix, out))) + 1  # Pillow has no value for what lies on the border
    coefficients = np.add(matrix[:2], [[0, 0, margin], [0, 0, margin]]).ravel().tolist()
    _, rows, columns = out.shape
    for plane, result in zip(_padded(image, margin), out, strict=True):
        result[:] = Image.fromarray(plane).transform(
            (columns, rows), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
        )


def _averaged(image: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The image and the matrix or, if the image shrinks much, a smaller image and the matrix for it."""
    shrinking = math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    if shrinking <= MAX_SHRINKING:
        return image, matrix
    _, height, width = image.shape
    smaller = (max(1, round(width / shrinking)), max(1, round(height / shrinking)))
    planes = [np.asarray(Image.fromarray(plane).resize(smaller, Image.Resampling.BILINEAR)) for plane in image]
    return np.stack(planes), np.diag([smaller[0] / width, smaller[1] / height, 1]) @ matrix


def _padded(image: np.ndarray, margin: int) -> np.ndarray:
    """The image with its border repeated on all sides."""
    if not margin:
        return np.ascontiguousarray(image)
    channels, height, width = image.shape
    padded = np.empty((channels, height + 2 * margin, width + 2 * margin), np.uint8)
    middle = padded[:, margin : margin + height]
    middle[:, :, margin : margin + width] = image
    middle[:, :, :margin] = image[:, :, :1]
    middle[:, :, margin + width :] = image[:, :, -1:]
    padded[:, :margin] = middle[:, :1]
    padded[:, margin + height :] = middle[:, -1:]
    return padded
