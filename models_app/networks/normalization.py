"""Normalization, the mean and the spread of the pixels for which a network's weights were trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models_app.networks.layer import BadNetwork
from models_app.networks.layers.layer_type import check_finite


@dataclass(frozen=True)
class Normalization:
    """A pixel x of 0 to 255 becomes (x - mean) / std, with one mean and one std for each channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def for_channels(self, channels: int) -> Normalization | None:
        """The same for images of that many channels: gray ones get the average of the colours; None: it has no
        meaning for them."""
        if len(self.mean) == channels:
            return self
        return Normalization((_average(self.mean),), (_average(self.std),)) if channels == 1 else None

    def mean_array(self) -> np.ndarray:
        """float32 C×1×1: subtracted from the pixels."""
        return _by_channel(self.mean)

    def scale_array(self) -> np.ndarray:
        """float32 C×1×1: by which the difference is multiplied."""
        return _by_channel([1 / number for number in self.std])

    def to_dict(self) -> dict[str, Any]:
        """The normalization as JSON values; from_dict gives an equal one back."""
        return {name: list(numbers) for name, numbers in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Normalization:
        """Raises BadNetwork for values that can't be a normalization."""
        try:
            mean, std = (tuple(data[name]) for name in ("mean", "std"))
            for number in (*mean, *std):
                check_finite("normalization", number)
        except (KeyError, TypeError, ValueError) as error:
            raise BadNetwork(f"this is not a normalization: {type(error).__name__} {error}") from error
        if len(mean) != len(std) or not mean or min(std) <= 0:
            raise BadNetwork("a normalization needs a mean and a std above 0 for each channel")
        return cls(mean, std)


def _average(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _by_channel(numbers: Sequence[float]) -> np.ndarray:
    return np.array(numbers, np.float32)[:, np.newaxis, np.newaxis]


HALF = Normalization((127.5,) * 3, (127.5,) * 3)  # TensorFlow's: from -1 to 1
IMAGENET = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # torchvision's, of its photos


def smallest_deviation(shape: tuple[int, ...]) -> float:
    """The least standard deviation by which the whitening divides an image of this shape, as in DIGITS. So an image of
    one colour becomes 0."""
    return 1 / math.sqrt(math.prod(shape))
