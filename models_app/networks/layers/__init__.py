"""The layer types. TYPES maps Caffe's name to the class; importing the modules below fills it."""

from models_app.networks.layers import data_and_losses, dense, elementwise, joining, shaping, vision
from models_app.networks.layers.layer_type import TYPES, LayerType, Misfit, Shape, WeightSpec, parse

__all__ = [
    "TYPES",
    "LayerType",
    "Misfit",
    "Shape",
    "WeightSpec",
    "data_and_losses",
    "dense",
    "elementwise",
    "joining",
    "parse",
    "shaping",
    "vision",
]
