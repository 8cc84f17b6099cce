"""The training engines. Importing this package registers all of them, in the order in which `auto` prefers them."""

from models_app.training.engines import mxnet_declaration, torch_declaration  # noqa: F401 - they register themselves
from models_app.training.engines.interface import Engine, EngineConfig
from models_app.training.engines.registry import (
    AUTO,
    ENGINES,
    EngineDeclaration,
    candidates,
    choose_installed,
    configure,
    declared,
    engines_of_network,
    load,
    open_engine,
    spanning,
)
from models_app.training.engines.timm_models import described, exportable, initial_weights, resized_weights

__all__ = [
    "AUTO",
    "ENGINES",
    "Engine",
    "EngineConfig",
    "EngineDeclaration",
    "candidates",
    "choose_installed",
    "configure",
    "declared",
    "described",
    "engines_of_network",
    "exportable",
    "initial_weights",
    "load",
    "open_engine",
    "resized_weights",
    "spanning",
]
