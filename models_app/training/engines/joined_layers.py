"""Finds the Scale layers that an engine can compute within the BatchNorm that they read.

The libraries' batch normalization has a gain and a bias of its own. As layers of their own these cost further passes
over the values: two forward and four backward.
"""

from __future__ import annotations

from models_app.networks import Network, Node
from models_app.networks.layers import dense
from models_app.networks.resolve import Value


def joined_scales(network: Network, phase: str) -> dict[str, Node]:
    """The Scale layers that alone read a BatchNorm without a gain of its own, by the BatchNorm's name."""
    readers: dict[Value | None, list[Node]] = {}
    for node in network.nodes(phase):
        for value in node.reads:
            readers.setdefault(value, []).append(node)
    norms = [node for node in network.nodes(phase) if isinstance(node.kind, dense.BatchNorm) and not node.kind.scales]
    only_reader = {norm.layer.name: readers.get((norm.layer.name, norm.layer.tops[0]), []) for norm in norms}
    return {
        name: reading[0]
        for name, reading in only_reader.items()
        if len(reading) == 1 and isinstance(reading[0].kind, dense.Scale)
    }
