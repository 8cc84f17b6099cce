"""mixup and cutmix: an image is mixed with the next one of its batch, and so are their labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.streams import generator, uniforms
from models_app.training.augmentation.views import store

MIXUP_STREAM, CUTMIX_STREAM = 14, 15


@dataclass(frozen=True)
class Mix:
    """How an image is mixed with another.

    share: of its own label and, without a box, of its own pixels.
    box: the rows and columns that are the other image's; None: all pixels are mixed.
    """

    share: float
    box: tuple[slice, slice] | None = None

    def apply(self, own: np.ndarray, other: np.ndarray, out: np.ndarray) -> None:
        """Fill `out` with the mixed image; all are uint8, C×H×W."""
        if self.box is None:
            mixed = own * np.float32(self.share)
            mixed += other * np.float32(1 - self.share)
            store(mixed, out)
            return
        out[:] = own
        rows, columns = self.box
        out[:, rows, columns] = other[:, rows, columns]


def mix_of(settings: Augmentation, seed: int, epoch: int, position: int, height: int, width: int) -> Mix:
    """How the image at this position is mixed. Its partner is the next one of the batch, the last one's is the first;
    the order of an epoch is random anyway."""
    [[which]] = uniforms(seed, epoch, MIXUP_STREAM, position, 1, 1)
    if settings.mixup and (which < 0.5 or not settings.cutmix):
        return Mix(_share(settings.mixup, generator(seed, epoch, MIXUP_STREAM, position)))
    [[down, right]] = uniforms(seed, epoch, CUTMIX_STREAM, position, 1, 2)
    side = math.sqrt(1 - _share(settings.cutmix, generator(seed, epoch, CUTMIX_STREAM, position)))
    rows, columns = _span(down, side, height), _span(right, side, width)
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return Mix(1 - area / (height * width), (rows, columns))


def _share(alpha: float, random: np.random.Generator) -> float:
    return float(random.beta(alpha, alpha))


def _span(centre: float, side: float, length: int) -> slice:
    """The pixels about a centre, which is 0 to 1, as many as a share of the length; at the border it is cut."""
    half = side * length / 2
    return slice(max(0, round(centre * length - half)), min(length, round(centre * length + half)))


def partner(position: int, batch_size: int) -> int:
    """The position of the image that the one at this position is mixed with."""
    first = position - position % batch_size
    return first + (position - first + 1) % batch_size
