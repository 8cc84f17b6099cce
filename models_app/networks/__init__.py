"""Networks as data: the classes that describe and check a network, and the standard networks. No engine in here."""

from models_app.networks.graph import Network, parameter_count
from models_app.networks.layer import PHASES, BadNetwork, Layer, Multipliers
from models_app.networks.published import (
    MAX_NETWORK_NAME,
    STANDARD,
    StandardNetwork,
    default_batch_size,
    find_standard,
    is_standard,
    standard,
)
from models_app.networks.resolve import Node, Weight
from models_app.networks.timm.timm_network import TimmNetwork

__all__ = [
    "MAX_NETWORK_NAME",
    "PHASES",
    "STANDARD",
    "BadNetwork",
    "Layer",
    "Multipliers",
    "Network",
    "Node",
    "StandardNetwork",
    "TimmNetwork",
    "Weight",
    "default_batch_size",
    "find_standard",
    "is_standard",
    "parameter_count",
    "standard",
]
