"""The mean of the train split, as an image and as a pixel, and as a picture to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


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
        image = self.image()
        np.save(array_path, np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))
        picture = np.rint(image).astype(np.uint8)
        Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(picture_path)
