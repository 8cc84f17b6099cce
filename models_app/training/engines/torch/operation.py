"""A layer as a function on tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from models_app.networks import Node
from models_app.networks.layers import Shape
from models_app.training.engines.torch.torch_library import torch
from models_app.training.ranks.rank import ALONE, Ranks

Tensor: TypeAlias = torch.Tensor
Operation: TypeAlias = Callable[[Sequence[Tensor], Sequence[Tensor]], Sequence[Tensor]]  # (inputs, weights) → outputs


@dataclass(frozen=True)
class Statistics:
    """Mean and variance per channel that a BatchNorm measures in a batch, and writes into these tensors."""

    mean: Tensor
    variance: Tensor  # without bias: divided by the number of values less one


@dataclass(frozen=True)
class PhaseSettings:
    """What the layers of a phase depend on besides their parameters.

    training: whether the phase is that of training. soft_labels: whether labels are shares of categories, batch ×
    scores. category_weights: factors on the images in the losses. joined_scales: see joined_layers.py. statistics: of
    the batch, by the name of the BatchNorm; only of those that measure them. ranks: losses are divided by the size of
    the batch of all of them, and BatchNorms measure that batch. share: the part of it that this rank computes.
    """

    training: bool
    soft_labels: bool = False
    category_weights: Tensor | None = None
    joined_scales: dict[str, Node] = field(default_factory=dict)
    statistics: dict[str, Statistics] = field(default_factory=dict)
    ranks: Ranks = ALONE
    share: float = 1.0


Build: TypeAlias = Callable[[Node, PhaseSettings], Operation]


def by_channel(weight: Tensor, shape: Shape) -> Tensor:
    """A weight with one number per channel, reshaped to broadcast over values of this shape."""
    return weight.reshape(-1, *[1] * (len(shape) - 1))
