"""What the builders of layers (layer_builders.py) build: one phase of a network in MXNet's symbols."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from models_app.networks import Node
from models_app.networks.layers import Shape
from models_app.networks.resolve import Value
from models_app.training.engines.mxnet.compat import mx

Symbol = mx.sym.Symbol


@dataclass
class SymbolGraph:
    """One phase of a network as symbols, while it is being built and after.

    `values` are the tops as they are by now. `heads` are what backward begins at; `kept` is what losses and accuracies
    compare, for measures.py; `constants` are inputs that never change, and `backward` those whose gradient must be
    asked for, so that backward comes by their layer. `category_weights` weigh the images in the losses.
    """

    images: Symbol = field(default_factory=lambda: mx.sym.Variable("data"))
    label: Symbol = field(default_factory=lambda: mx.sym.Variable("label"))
    values: dict[str, Symbol] = field(default_factory=dict)
    heads: list[Symbol] = field(default_factory=list)
    kept: dict[Value, Symbol] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    backward: list[str] = field(default_factory=list)
    category_weights: Symbol | None = None

    def constant(self, name: str, value: np.ndarray) -> Symbol:
        self.constants[name] = value
        return mx.sym.Variable(name)


Build = Callable[[SymbolGraph, Node, Sequence[Symbol], Sequence[Symbol]], list[Symbol]]


def rows(value: Symbol, shape: Shape) -> Symbol:
    """Every image's numbers in a row; `shape` is theirs."""
    return mx.sym.reshape(value, shape=(-1, math.prod(shape)))


def by_channel(weight: Symbol, shape: Shape) -> Symbol:
    """One number a channel, to be combined with values of this shape."""
    return mx.sym.reshape(weight, shape=(1, -1, *[1] * (len(shape) - 1)))
