"""Networks as data: the classes that describe and check a network, and the standard networks. No engine in here."""

from models_app.networks.graph import Network, parameter_count
from models_app.networks.layer import PHASES, BadNetwork, Layer, Multipliers
from models_app.networks.published import MAX_NETWORK_NAME, STANDARD, StandardNetwork, default_batch_size, standard
from models_app.networks.resolve import Node, Weight

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
    "Weight",
    "default_batch_size",
    "parameter_count",
    "standard",
]
