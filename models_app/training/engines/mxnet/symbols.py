"""A phase of a network in MXNet's symbols, which layer_builders.py builds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from models_app.networks import Node
from models_app.networks.layers import Shape
from models_app.networks.resolve import Value
from models_app.training.engines.mxnet.compat import mx

Symbol: TypeAlias = mx.sym.Symbol


@dataclass
class SymbolGraph:
    """One phase of a network as symbols.

    `values` maps each top to its current symbol. The backward pass starts at `heads`. `kept` are the values that losses
    and accuracies compare, for measures.py. `constants` are inputs that never change. `backward` names the inputs whose
    gradient is requested only so that the backward pass runs their layer. `category_weights` weight the images in the
    losses. `soft_labels`: whether labels are shares of categories, batch × scores. `joined_scales`: see
    normalization_builders.py; `mixed_layouts`: see memory_layouts.py.
    """

    images: Symbol = field(default_factory=lambda: mx.sym.Variable("data"))
    label: Symbol = field(default_factory=lambda: mx.sym.Variable("label"))
    values: dict[str, Symbol] = field(default_factory=dict)
    heads: list[Symbol] = field(default_factory=list)
    kept: dict[Value, Symbol] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    backward: list[str] = field(default_factory=list)
    category_weights: Symbol | None = None
    soft_labels: bool = False
    joined_scales: dict[str, Node] = field(default_factory=dict)
    mixed_layouts: set[str] = field(default_factory=set)

    def constant(self, name: str, value: np.ndarray) -> Symbol:
        self.constants[name] = value
        return mx.sym.Variable(name)


Build = Callable[[SymbolGraph, Node, Sequence[Symbol], Sequence[Symbol]], list[Symbol]]


def rows(value: Symbol, shape: Shape) -> Symbol:
    """The value reshaped to one row per image. `shape` is that of one image's values."""
    return mx.sym.reshape(value, shape=(-1, math.prod(shape)))


def by_channel(weight: Symbol, shape: Shape) -> Symbol:
    """A weight with one number per channel, reshaped to broadcast over values of this shape."""
    return mx.sym.reshape(weight, shape=(1, -1, *[1] * (len(shape) - 1)))
