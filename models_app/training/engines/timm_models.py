"""What an engine does with networks of timm besides training them; other networks need no engine for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from models_app.networks import Network, TimmNetwork
from models_app.training.engines.registry import AUTO, ENGINES, choose_installed, import_part


def described(network: Network, wanted: str) -> Network:
    """The network with all its weights named, as the trainer needs it: one of timm is built for that. Raises BadInput
    if no engine that can build it is installed."""
    if not isinstance(network, TimmNetwork):
        return network
    return cast(Network, _timm_of(network, wanted).described(network))


def initial_weights(network: Network, wanted: str, seed: int) -> dict[str, np.ndarray]:
    """Random weights of a described network by name, float32. They depend on the seed and the network alone."""
    if isinstance(network, TimmNetwork):
        return dict(_timm_of(network, wanted).drawn_weights(network, seed))
    return network.initial_weights(seed)


def resized_weights(network: Network, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights of a described network of timm for images of another size, resampled for the size of this one, as far as
    timm can."""
    return dict(_timm_of(network, AUTO).resized_weights(network, arrays))


def exportable(network: Network) -> Network:
    """A described network as write_onnx() takes it: of timm with its graph. Raises BadInput as described()."""
    if not isinstance(network, TimmNetwork):
        return network
    return cast(Network, _timm_of(network, AUTO).with_graph(network))


def _timm_of(network: Network, wanted: str) -> Any:
    engine = ENGINES[choose_installed(network, wanted)]
    return import_part(engine, engine.timm_module, "timm")
