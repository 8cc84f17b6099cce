"""Computes, writes and reads the mean image of a training split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.imagedb.foreign.datum import parse_blob
from digits_project.common.confined_files import open_file
from digits_project.common.errors import BadInput

_MAX_BLOB_BYTES = 512 << 20  # three channels of 4096×4096 doubles, and some more


class RunningMean:
    """Sums of images, HxWxC; whole numbers in float64 are exact, so the order of adding changes nothing."""

    def __init__(self, height: int, width: int, channels: int):
        self._total = np.zeros((height, width, channels), np.float64)
        self._count = 0

    def add(self, total: np.ndarray, count: int) -> None:
        """Add the sum of `count` images."""
        self._total += total
        self._count += count

    def image(self) -> np.ndarray:
        """float64, HxWxC, 0 to 255, RGB order. At least one image must have been added."""
        return self._total / self._count

    def pixel(self) -> list[float]:
        """The mean of each channel, 0 to 255, RGB order."""
        return [float(value) for value in self.image().mean(axis=(0, 1))]

    def save(self, array_path: Path, picture_path: Path) -> None:
        """Write `array_path` (float32, CxHxW) for training and `picture_path` (PNG) for people."""
        save_mean(self.image(), array_path, picture_path)


def save_mean(image: np.ndarray, array_path: Path, picture_path: Path) -> None:
    """Write a mean image, H×W×C, RGB, as RunningMean.save() does."""
    np.save(array_path, np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))
    picture = np.rint(np.clip(image, 0, 255)).astype(np.uint8)
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(picture_path)


def read_mean(path: Path, shape: tuple[int, int, int], roots: Sequence[Path]) -> np.ndarray:
    """A user's mean file, for images of this shape (C, H, W), as float64, H×W×C, RGB. Raises BadInput, also for a path
    outside of `roots`.

    A .npy file holds C×H×W values or one per channel, in the order RGB. Any other file is read as Caffe's BlobProto.
    """
    try:
        with open_file(path, roots) as file:
            mean = _read_npy(path, file) if path.suffix == ".npy" else _read_blob(path, file)
    except OSError as error:
        raise BadInput(f"The mean {path} can't be read: {error.strerror}.") from error
    mean = mean[0] if mean.ndim == 4 and len(mean) == 1 else mean
    if mean.shape in ((shape[0],), (shape[0], 1, 1)):
        mean = np.broadcast_to(mean.reshape(-1, 1, 1), shape)
    if mean.shape != shape:
        found, wanted = ("×".join(map(str, size)) for size in (mean.shape, shape))
        raise BadInput(f"The mean {path} is {found}, but the images are {wanted} (channels×height×width).")
    if not (np.issubdtype(mean.dtype, np.floating) or np.issubdtype(mean.dtype, np.integer)):
        raise BadInput(f"The mean {path} does not hold numbers.")
    mean = mean.astype(np.float64)
    if not np.isfinite(mean).all():
        raise BadInput(f"The mean {path} holds numbers that are not finite.")
    return mean.transpose(1, 2, 0)


def _read_npy(path, file):
    itself = f"/proc/self/fd/{file.fileno()}"  # NumPy maps only files with a path
    try:
        array = np.load(
            itself, mmap_mode="r", allow_pickle=False
        )  # mapped, so a false size in the header costs no memory
    except (OSError, ValueError, EOFError, OverflowError, MemoryError, SyntaxError) as error:
        raise BadInput(f"The mean {path} can't be read: it is not a complete .npy file of numbers.") from error
    if not isinstance(array, np.ndarray):
        raise BadInput(f"The mean {path} holds several arrays; it must hold one.")
    return array


def _read_blob(path, file):
    try:
        message = file.read(_MAX_BLOB_BYTES + 1)
        if len(message) > _MAX_BLOB_BYTES:
            raise BadInput(f"it is larger than {_MAX_BLOB_BYTES >> 20} MiB")
        return parse_blob(message)
    except BadInput as error:
        raise BadInput(f"The mean {path} can't be read as a .binaryproto: {error}.") from error
