"""The layer types, by Caffe's names, in TYPES: whatever the modules imported here define."""

from models_app.networks.layers import dense, elementwise, ends, joining, shaping, vision
from models_app.networks.layers.base import TYPES, LayerType, Misfit, Shape, WeightSpec, parse

__all__ = [
    "TYPES",
    "LayerType",
    "Misfit",
    "Shape",
    "WeightSpec",
    "dense",
    "elementwise",
    "ends",
    "joining",
    "parse",
    "shaping",
    "vision",
]
