"""The memory that a training needs at least, computed from the shapes of its network before it starts.

Without this check the kernel would kill the process, since it assigns memory only on use.
"""

from __future__ import annotations

import math

from models_app.networks import Network
from models_app.networks.layers import dense, elementwise, joining, vision
from models_app.training.engines import memory_limits
from models_app.training.engines.interface import EngineConfig

FLOAT_BYTES = 4
# Layers whose outputs stay until the backward pass has read them. Those of others can share memory, or are views.
KEPT = (dense.BatchNorm, dense.InnerProduct, elementwise.ReLU, joining.Concat, joining.Eltwise, vision.Filters,
        vision.LRN, vision.Pooling)  # fmt: skip


def check_fits(config: EngineConfig, there: int) -> None:
    """Raise BadInput if a training's batch takes more than the memory that there is, in bytes."""
    memory_limits.check_room(config, planned_bytes(config.network, config.batch_size), there)


def planned_bytes(network: Network, batch_size: int) -> int:
    """The bytes that a batch needs between images and results, without weights and gradients."""
    kept = (node for node in network.nodes("train") if isinstance(node.kind, KEPT))
    return FLOAT_BYTES * batch_size * sum(math.prod(shape) for node in kept for shape in node.outputs)
