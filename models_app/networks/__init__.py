"""Networks as data: what a network is, the standard ones, and how one is checked. No engine in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from models_app.networks.graph import Network, Node, Weight, parameter_count
from models_app.networks.layer import PHASES, BadNetwork, Layer, Multipliers
from models_app.networks.lenet import lenet

__all__ = [
    "PHASES",
    "STANDARD",
    "BadNetwork",
    "Layer",
    "Multipliers",
    "Network",
    "Node",
    "StandardNetwork",
    "Weight",
    "default_batch_size",
    "parameter_count",
    "standard",
]


@dataclass(frozen=True)
class StandardNetwork:
    """A published network: makes itself for an input shape (channels, height, width) and a number of categories."""

    make: Callable[[tuple[int, int, int], int], Network]
    batch_size: int


STANDARD = {"lenet": StandardNetwork(lenet, batch_size=64)}


def standard(name: str, input_shape: tuple[int, int, int], categories: int) -> Network:
    """A standard network, checked. Raises BadNetwork if the name is unknown or the network does not fit the shape."""
    if categories < 1:
        raise BadNetwork(f"a classifier needs at least one category, not {categories}")
    network = _published(name).make(input_shape, categories)
    network.check()
    return network


def default_batch_size(name: str) -> int:
    """How many images a standard network takes at once while it trains, unless told otherwise."""
    return _published(name).batch_size


def _published(name: str) -> StandardNetwork:
    if name not in STANDARD:
        raise BadNetwork(f"there is no standard network {name!r}; there are: {', '.join(sorted(STANDARD))}")
    return STANDARD[name]
