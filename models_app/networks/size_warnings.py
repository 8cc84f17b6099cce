"""Warnings about a network whose images are far larger or smaller than those it was designed for."""

from __future__ import annotations

import math

from models_app.networks.graph import Network
from models_app.networks.resolve import Node
from models_app.networks.timm.timm_network import TimmNetwork

MANY_WEIGHTS = 20_000_000  # of the first inner product; ResNet-50 has 26 million in all
WEIGHT_BYTES = 4
MUCH_LARGER, MUCH_SMALLER = 2, 4  # times the side of the images that a network was designed for
FEW_VALUES = 2  # rows and columns


def size_warnings(network: Network, designed_for: int | None = None, side: int | None = None) -> list[str]:
    """Sentences about a network that makes little sense at the size of its images; [] if there is nothing to say.

    `designed_for`: the side of the images that the network was designed for, in pixels; None: it is not known. `side`:
    the shorter side of the dataset's images; None: they are not scaled.
    """
    found = [_many_weights(network, designed_for), _too_small(network, designed_for)]
    found += [_costly(network), _enlarged(network, designed_for, side)]
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
    if isinstance(network, TimmNetwork):
        return (
            f"{network.name} was designed for images of {designed_for}×{designed_for}; at {_size(network)} its last "
            f"layers see next to nothing of their structure. A larger input_size, such as "
            f"{network.facts.next_size(math.ceil(designed_for / MUCH_SMALLER))}, scales the images up."
        )
    if not maps or min(maps[-1][1:]) >= FEW_VALUES:
        return ""
    rows, columns = maps[-1][1:]
    return (
        f"{network.name} was designed for images of {designed_for}×{designed_for}; at {_size(network)} its last "
        f"convolution sees only {rows}×{columns} values. A larger input_size, such as "
        f"{math.ceil(designed_for / MUCH_SMALLER)}, scales the images up."
    )


def _costly(network: Network) -> str:
    """A warning if the images of a network of timm have many times the area that the network was designed for."""
    if not isinstance(network, TimmNetwork) or network.area < MUCH_LARGER**2:
        return ""
    own = network.facts.size
    return (
        f"{network.name} was designed for images of {own}×{own}; at {_size(network)} each image takes "
        f"{network.area:.0f} times as long and as much memory. A smaller input_size needs far less."
    )


def _enlarged(network: Network, designed_for: int | None, side: int | None) -> str:
    """A warning if images are enlarged to more than the network was designed for, which shows it nothing more."""
    taken = min(network.input_shape[1:])
    if not designed_for or side is None or taken <= max(designed_for, side):
        return ""
    return (
        f"input_size {taken} enlarges the images of the dataset, whose shorter side is {side}, beyond the "
        f"{designed_for}×{designed_for} that {network.name} was designed for: that takes longer and shows it nothing "
        f"more. Take an input_size of at most {max(designed_for, side)}."
    )


def _count(node: Node) -> int:
    return sum(math.prod(weight.shape) for weight in node.weights)


def _size(network: Network) -> str:
    _, height, width = network.input_shape
    return f"{width}×{height}"
