"""Finds the BatchNorm layers whose backward pass would mix two of oneDNN's memory layouts.

oneDNN stores the values of a convolution in blocks of 16 channels, or of 8 if its inputs or outputs are not a multiple
of 16. If the values that a BatchNorm reads and the gradients that arrive have different blocks, oneDNN computes the
backward pass with its reference code, in some fifty times the time (decision 87).
"""

from __future__ import annotations

from models_app.networks import Network, Node
from models_app.networks.layers import dense, elementwise, joining, vision
from models_app.networks.resolve import Value

BLOCK = 16  # channels
FEW = 4  # input channels up to which a convolution reads images and still writes blocks of 16
KEEP_LAYOUT = (elementwise.SameShape, joining.Concat, joining.Eltwise, joining.Split, vision.Pooling)


def mixed_layouts(network: Network) -> set[str]:
    """The names of the BatchNorm layers in the training phase whose values reach a convolution with other blocks."""
    groups = _Groups()
    nodes = network.nodes("train")
    for node in nodes:
        if isinstance(node.kind, KEEP_LAYOUT):
            groups.join([*node.reads, *_tops(node)])
    odd = {
        groups.of(value)
        for node in nodes
        if isinstance(node.kind, vision.Filters) and _has_other_blocks(node)
        for value in (*node.reads, *_tops(node))
    }
    norms = [node for node in nodes if isinstance(node.kind, dense.BatchNorm)]
    return {node.layer.name for node in norms if groups.of(node.reads[0]) in odd}


def _tops(node: Node) -> list[Value]:
    return [(node.layer.name, top) for top in node.layer.tops]


def _has_other_blocks(node: Node) -> bool:
    read, written = node.inputs[0][0], node.outputs[0][0]
    return written % BLOCK != 0 or (read > FEW and read % BLOCK != 0)


class _Groups:
    """Values that are connected by layers which keep the memory layout."""

    def __init__(self) -> None:
        self._parents: dict[Value | None, Value | None] = {}

    def of(self, value: Value | None) -> Value | None:
        """The value that stands for the group of this one."""
        while (parent := self._parents.get(value, value)) != value:
            value = parent
        return value

    def join(self, values: list[Value | None]) -> None:
        first, *others = map(self.of, values)
        self._parents.update((other, first) for other in others if other != first)
