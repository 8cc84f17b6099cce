"""The memory that a training needs at least, computed from the shapes of its network before it starts.

Without this check the kernel would kill the process, since it assigns memory only on use.
"""

from __future__ import annotations

from models_app.networks import Network
from models_app.networks.kept_values import kept_values
from models_app.training.engines import memory_limits
from models_app.training.engines.interface import EngineConfig
from models_app.training.hyperparameters import FP32

FLOAT_BYTES, SMALLEST_BYTES = 4, 2  # of a number in float32, and in bf16


def check_fits(config: EngineConfig, there: int) -> None:
    """Raise BadInput if a training's batch takes more than the memory that there is, in bytes: on a GPU the images of
    this rank, on the CPU those of all ranks of this host."""
    sharing = 1 if _is_on_gpu(config) else config.ranks.count_here
    needed = planned_bytes(config.network, config.own_size * sharing, number_bytes(config))
    memory_limits.check_room(config, needed, there)


def planned_bytes(network: Network, images: int, of_number: int = FLOAT_BYTES) -> int:
    """The bytes that so many images need between images and results, without weights and gradients."""
    return of_number * images * kept_values(network)


def number_bytes(config: EngineConfig) -> int:
    """The fewest bytes that a number of a layer can take on the device: a GPU can compute in bf16."""
    return SMALLEST_BYTES if _is_on_gpu(config) and config.precision != FP32 else FLOAT_BYTES


def _is_on_gpu(config: EngineConfig) -> bool:
    return config.devices[0].startswith("gpu")
