"""The engines that train, by the name that a training asks for."""

from __future__ import annotations

import importlib
from importlib import metadata

from digits_project.common.errors import BadInput
from models_app.training.engines.interface import Engine, EngineConfig

MODULES = {"mxnet": "models_app.training.engines.mxnet.engine"}

# Wheels with GPU code, and the compute capabilities that it is for. They hold no PTX: a newer GPU can't run it.
GPU_WHEELS = dict.fromkeys(("mxnet-cu112", "mxnet-cu117"), ((5, 0), (8, 6)))


def open_engine(framework: str, config: EngineConfig) -> Engine:
    """Build the network on an engine. Only that engine's library is imported: a worker may have no other."""
    if framework not in MODULES:
        raise BadInput(f"there is no engine {framework!r}; there are: {', '.join(MODULES)}")
    return importlib.import_module(MODULES[framework]).open_engine(config)


def runs_on(compute_capability: tuple[int, int]) -> bool:
    """Whether an installed engine has code for a GPU of that compute capability, (major, minor)."""
    installed = {distribution.name.lower() for distribution in metadata.distributions()}
    return any(
        name in installed and lowest <= compute_capability <= highest for name, (lowest, highest) in GPU_WHEELS.items()
    )
