"""What is measured of one image: a digest, a perceptual hash, a thumbnail, brightness, contrast and sharpness."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from PIL import Image

SIDE = 32  # pixels of the thumbnail
THUMBNAIL_BYTES = SIDE * SIDE
MAX_SHARPNESS_SIDE = 256  # larger images are reduced, so that noise of the camera does not look sharp
MEASURES = np.dtype(
    [
        ("digest", "V16"),  # of the pixels: equal for exact copies
        ("hash", "<u8"),  # perceptual: few bits differ between similar pictures
        ("category", "<i4"),
        ("brightness", "<f4"),  # the mean, 0 to 255
        ("contrast", "<f4"),  # the standard deviation
        ("sharpness", "<f4"),  # the variance of the Laplacian
    ]
)
_KEPT = 8  # rows and columns of the cosine transform
_FREQUENCIES = np.arange(_KEPT)[:, np.newaxis] * (np.arange(SIDE) + 0.5) * np.pi / SIDE
_COSINES = np.cos(_FREQUENCIES).astype(np.float32)  # the first rows of the cosine transform
_BITS = np.uint64(1) << np.arange(_KEPT * _KEPT, dtype=np.uint64)


def measure(pixels: np.ndarray, row: np.void) -> np.ndarray:
    """Fill in a row of MEASURES, except for its category. Returns the thumbnail, uint8, SIDE×SIDE, in gray."""
    gray = gray_image(pixels)
    small = np.asarray(gray.resize((SIDE, SIDE), Image.Resampling.BOX if min(gray.size) > SIDE else _BETWEEN))
    values = np.asarray(_at_most(gray, MAX_SHARPNESS_SIDE), np.float32)
    row["digest"] = digest(pixels)
    row["hash"] = perceptual_hash(small)
    row["brightness"], row["contrast"] = values.mean(), values.std()
    row["sharpness"] = laplacian_variance(values)
    return small


def digest(pixels: np.ndarray) -> bytes:
    """16 bytes that are equal for images with the same pixels, and for no others."""
    return blake2b(
        np.ascontiguousarray(pixels).data, digest_size=16, salt=np.array(pixels.shape, "<u4").tobytes()
    ).digest()


def perceptual_hash(small: np.ndarray) -> np.uint64:
    """64 bits: which of the lowest frequencies of a thumbnail are above their median."""
    waves = _COSINES @ small.astype(np.float32) @ _COSINES.T
    waves[0, 0] = 0.0  # the brightness
    return (_BITS * (waves.ravel() > np.median(waves))).sum(dtype=np.uint64)


def laplacian_variance(values: np.ndarray) -> float:
    """The variance of the Laplacian of a gray image, float32 H×W; 0 for one without an inside."""
    if min(values.shape) < 3:
        return 0.0
    middle = values[1:-1, 1:-1]
    return float((values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:] - 4 * middle).var())


def gray_image(pixels: np.ndarray) -> Image.Image:
    """uint8, H×W×C with any number of channels, as an image in gray; of more than three channels, the first."""
    if pixels.shape[2] == 3:
        return Image.fromarray(pixels).convert("L")
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0]))


_BETWEEN = Image.Resampling.BILINEAR


def _at_most(image: Image.Image, side: int) -> Image.Image:
    factor = max(image.size) // side
    return image.reduce(factor) if factor > 1 else image
