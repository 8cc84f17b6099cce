"""Where a network begins and ends: Data and Input, the losses, and Accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from models_app.networks.layers.layer_type import LayerType, Misfit, Shape, axis_of, describe

NORMALIZATIONS = ("VALID", "FULL", "BATCH_SIZE", "NONE")


class DataSource(LayerType, abstract=True):
    """A layer without inputs, whose first top is the batch of images and whose second, if there is one, their labels.

    The shape of the images is the network's, not the layer's: it follows from the dataset.
    """

    bottoms = (0, 0)


@dataclass(frozen=True)
class Data(DataSource):
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


def middle(image_shape: Shape, input_shape: Shape) -> tuple[int, int]:
    """First row and column of the part of an image that a deployed network takes; rounded down as in Caffe."""
    return (image_shape[1] - input_shape[1]) // 2, (image_shape[2] - input_shape[2]) // 2


@dataclass(frozen=True)
class Input(DataSource):
    """Images alone."""


class Criterion(LayerType, abstract=True):
    """A layer that compares two values, mostly scores and labels: no part of a deployed network.

    Its top is a number for the whole batch, to be reported; no layer computes with it.
    """

    bottoms = (2, 2)
    tops = (0, 1)

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        if math.prod(bottoms[0]) != math.prod(bottoms[1]):
            raise Misfit(f"compares values that differ in size: {describe(bottoms[0])} and {describe(bottoms[1])}")
        return [()]


class CategoryCriterion(Criterion, abstract=True):
    """Compares scores with numbers of categories: one for each image, or one for each place of an image of scores."""

    axis: int

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        scores, labels = bottoms
        if not scores or math.prod(scores[1:]) != math.prod(labels):
            shapes = " and ".join(describe(shape) for shape in bottoms)
            raise Misfit(f"compares an image's scores with its label, its inputs are {shapes}")
        if axis_of(self.axis, scores) != 0:
            raise Misfit(f"axis must be 1, not {self.axis}")
        return [()]


class Loss(Criterion, abstract=True):
    """A comparison that training makes smaller. `loss_weight` is its share of the network's loss."""

    loss_weight: float
    normalization: str

    def __post_init__(self) -> None:
        if self.normalization not in NORMALIZATIONS:
            raise Misfit(f"normalization must be one of {', '.join(NORMALIZATIONS)}, not {self.normalization!r}")


@dataclass(frozen=True)
class SoftmaxWithLoss(Loss, CategoryCriterion):
    """Cross-entropy of the softmax over the channels. Labels that are ignore_label count nothing.

    The sum is divided as `normalization` says: by the labels that count (VALID), by all of them (FULL), by the images
    of the batch (BATCH_SIZE), or not at all (NONE).
    """

    loss_weight: float = 1.0
    ignore_label: int | None = None
    normalization: str = "VALID"
    axis: int = 1


@dataclass(frozen=True)
class SigmoidCrossEntropyLoss(Loss):
    """Cross-entropy of the sigmoid with targets from 0 to 1; see SoftmaxWithLoss for the rest."""

    loss_weight: float = 1.0
    ignore_label: int | None = None
    normalization: str = "BATCH_SIZE"


@dataclass(frozen=True)
class EuclideanLoss(Loss):
    """1/(2N) Σ (a - b)², N the images of the batch."""

    loss_weight: float = 1.0
    normalization = "BATCH_SIZE"


@dataclass(frozen=True)
class Accuracy(CategoryCriterion):
    """The share of labels that are among the top_k highest scores, without those that are ignore_label."""

    top_k: int = 1
    ignore_label: int | None = None
    axis: int = 1

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise Misfit(f"top_k must be at least 1, not {self.top_k}")
