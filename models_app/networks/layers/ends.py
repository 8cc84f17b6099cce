"""Where a network begins and ends: Data and Input, SoftmaxWithLoss and Accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from models_app.networks.layers.base import LayerType, Misfit, Shape, describe


class Source(LayerType, abstract=True):
    """A layer without inputs, whose first top is the batch of images and whose second, if there is one, their labels.

    The shape of the images is the network's, not the layer's: it follows from the dataset.
    """

    bottoms = (0, 0)


@dataclass(frozen=True)
class Data(Source):
    """Images and their labels.

    With a crop_size, the network takes a square of the dataset's images: in training one at random, else that in the
    middle. With mirror, training turns half of the images left to right.
    """

    tops = (1, 2)
    crop_size: int = 0
    mirror: bool = False

    def __post_init__(self) -> None:
        if self.crop_size < 0:
            raise Misfit(f"crop_size must not be negative, it is {self.crop_size}")


@dataclass(frozen=True)
class Input(Source):
    """Images alone."""


class Verdict(LayerType, abstract=True):
    """A layer that compares scores (its first input) with labels (its second): no part of a deployed network."""

    bottoms = (2, 2)
    tops = (0, 1)

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        if not bottoms[0] or math.prod(bottoms[0][1:]) != 1 or bottoms[1] != ():
            shapes = " and ".join(describe(shape) for shape in bottoms)
            raise Misfit(f"compares an image's scores with its label, its inputs are {shapes}")
        return [()]


@dataclass(frozen=True)
class SoftmaxWithLoss(Verdict):
    """Cross-entropy of the softmax over the channels, averaged over the batch, times loss_weight."""

    loss_weight: float = 1.0


@dataclass(frozen=True)
class Accuracy(Verdict):
    """The share of images whose label is among the top_k highest scores."""

    top_k: int = 1

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise Misfit(f"top_k must be at least 1, not {self.top_k}")
