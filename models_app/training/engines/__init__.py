"""The training engines. Importing this package registers all of them, in the order in which `auto` prefers them."""

from models_app.training.engines import mxnet_declaration  # noqa: F401 - registers itself
from models_app.training.engines.interface import Engine, EngineConfig
from models_app.training.engines.registry import (
    AUTO,
    ENGINES,
    candidates,
    choose_installed,
    declared,
    engines_of_network,
    open_engine,
    spanning,
)

__all__ = [
    "AUTO",
    "ENGINES",
    "Engine",
    "EngineConfig",
    "candidates",
    "choose_installed",
    "declared",
    "engines_of_network",
    "open_engine",
    "spanning",
]
