"""How many numbers of an image a training keeps in memory at least, from the forward pass to the backward pass."""

from __future__ import annotations

import math

from models_app.networks.graph import Network
from models_app.networks.layers import dense, elementwise, joining, vision
from models_app.networks.timm.timm_network import TimmNetwork

# Layers whose outputs stay until the backward pass has read them. Those of others can share memory, or are views.
KEPT = (dense.BatchNorm, dense.InnerProduct, elementwise.ReLU, joining.Concat, joining.Eltwise, vision.Filters,
        vision.LRN, vision.Pooling)  # fmt: skip


def kept_values(network: Network) -> int:
    """The numbers of one image, without those of weights and gradients. The memory of a batch can't be less."""
    if isinstance(network, TimmNetwork):
        return network.kept_values()
    kept = (node for node in network.nodes("train") if isinstance(node.kind, KEPT))
    return sum(math.prod(shape) for node in kept for shape in node.outputs)
