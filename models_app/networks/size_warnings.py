"""Warnings about a network whose images are far larger or smaller than those it was designed for."""

from __future__ import annotations

import math

from models_app.networks.graph import Network
from models_app.networks.resolve import Node

MANY_WEIGHTS = 20_000_000  # of the first inner product; ResNet-50 has 26 million in all
WEIGHT_BYTES = 4
MUCH_LARGER, MUCH_SMALLER = 2, 4  # times the side of the images that a network was designed for
FEW_VALUES = 2  # rows and columns


def size_warnings(network: Network, designed_for: int | None = None) -> list[str]:
    """Sentences about a network that makes little sense at the size of its images; [] if there is nothing to say.

    `designed_for`: the side of the images that the network was designed for, in pixels; None: it is not known.
    """
    found = [_many_weights(network, designed_for), _too_small(network, designed_for)]
    return [warning for warning in found if warning]


def _many_weights(network: Network, designed_for: int | None) -> str:
    """A warning if the first inner product, whose weights grow with the area of the images, has very many."""
    first = next((node for node in network.nodes("deploy") if node.layer.type == "InnerProduct"), None)
    weights = _count(first) if first else 0
    side = max(network.input_shape[1:])
    if first is None or weights < MANY_WEIGHTS or (designed_for and side < MUCH_LARGER * designed_for):
        return ""
    gigabytes = weights * WEIGHT_BYTES / 1e9
    made_for = f" It was designed for {designed_for}×{designed_for}." if designed_for else ""
    return (
        f"With images of {_size(network)}, layer {first.layer.name} of {network.name} has {weights:,} weights, which "
        f"take {gigabytes:.2g} GB in each snapshot and several times as much memory.{made_for} A smaller input_size, "
        f"or a network that averages its features before it classifies them (such as resnet18), needs far less."
    )


def _too_small(network: Network, designed_for: int | None) -> str:
    """A warning if the images are so small that the last layers see next to nothing of their structure."""
    side = min(network.input_shape[1:])
    if not designed_for or side * MUCH_SMALLER >= designed_for:
        return ""
    maps = [node.outputs[0] for node in network.nodes("deploy") if node.layer.type == "Convolution"]
    if not maps or min(maps[-1][1:]) >= FEW_VALUES:
        return ""
    rows, columns = maps[-1][1:]
    return (
        f"{network.name} was designed for images of {designed_for}×{designed_for}; at {_size(network)} its last "
        f"convolution sees only {rows}×{columns} values. A larger input_size, such as "
        f"{math.ceil(designed_for / MUCH_SMALLER)}, scales the images up."
    )


def _count(node: Node) -> int:
    return sum(math.prod(weight.shape) for weight in node.weights)


def _size(network: Network) -> str:
    _, height, width = network.input_shape
    return f"{width}×{height}"
