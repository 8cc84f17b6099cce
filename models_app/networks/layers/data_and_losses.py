"""The layers at a network's start and end: Data and Input, the losses, and Accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from models_app.networks.layers.layer_type import LayerType, Misfit, Shape, axis_of, describe

NORMALIZATIONS = ("VALID", "FULL", "BATCH_SIZE", "NONE")


class DataSource(LayerType, abstract=True):
    """A layer without inputs. Its first top is the batch of images; the second, if there is one, holds their labels.

    The shape of the images is the network's, not the layer's: it follows from the dataset.
    """

    bottoms = (0, 0)


@dataclass(frozen=True)
class Data(DataSource):
    """Images and their labels.

    With crop_size the network takes a square of each image: at a random place in training, else the middle. With
    mirror, training flips half of the images left to right."""

    tops = (1, 2)
    crop_size: int = 0
    mirror: bool = False

    def __post_init__(self) -> None:
        if self.crop_size < 0:
            raise Misfit(f"crop_size must not be negative, it is {self.crop_size}")


def middle(image_shape: Shape, input_shape: Shape) -> tuple[int, int]:
    """First row and column of the middle crop that a deployed network takes; rounded down as in Caffe."""
    return (image_shape[1] - input_shape[1]) // 2, (image_shape[2] - input_shape[2]) // 2


@dataclass(frozen=True)
class Input(DataSource):
    """Images without labels."""


class Criterion(LayerType, abstract=True):
    """A layer that compares two values, usually scores and labels: a loss or a metric. A deployed network has none.

    Its top is one number for the whole batch, which is reported; no layer reads it.
    """

    bottoms = (2, 2)
    tops = (0, 1)

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        if math.prod(bottoms[0]) != math.prod(bottoms[1]):
            raise Misfit(f"compares values that differ in size: {describe(bottoms[0])} and {describe(bottoms[1])}")
        return [()]


class CategoryCriterion(Criterion, abstract=True):
    """Compares scores with category numbers: one per image, or one per pixel of a map of scores."""

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
    """A criterion that training minimises. `loss_weight` is its factor in the network's total loss."""

    loss_weight: float
    normalization: str

    def __post_init__(self) -> None:
        if self.normalization not in NORMALIZATIONS:
            raise Misfit(f"normalization must be one of {', '.join(NORMALIZATIONS)}, not {self.normalization!r}")


@dataclass(frozen=True)
class SoftmaxWithLoss(Loss, CategoryCriterion):
    """Cross-entropy of the softmax over the channels. Labels equal to ignore_label are left out.

    `normalization` names the divisor of the sum: the number of labels that are not ignored (VALID), of all labels
    (FULL), of images in the batch (BATCH_SIZE), or 1 (NONE).
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
    """1/(2N) Σ (a - b)², where N is the number of images in the batch."""

    loss_weight: float = 1.0
    normalization = "BATCH_SIZE"


@dataclass(frozen=True)
class Accuracy(CategoryCriterion):
    """The fraction of labels that are among the top_k highest scores. Labels equal to ignore_label are left out."""

    top_k: int = 1
    ignore_label: int | None = None
    axis: int = 1

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise Misfit(f"top_k must be at least 1, not {self.top_k}")
