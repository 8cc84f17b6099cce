"""The standard networks as published, registered by name: each module builds one, and declares its defaults."""

from models_app.networks.published.alexnet import ALEXNET, ALEXNET_TORCH
from models_app.networks.published.efficientnet_lite import EFFICIENTNET_LITE0
from models_app.networks.published.googlenet import GOOGLENET
from models_app.networks.published.googlenet_torch import GOOGLENET_TORCH
from models_app.networks.published.lenet import LENET
from models_app.networks.published.mobilenet import MOBILENET_V2
from models_app.networks.published.resnet import RESNET18, RESNET18_TORCH, RESNET50, RESNET50_TORCH
from models_app.networks.published.squeezenet import SQUEEZENET
from models_app.networks.published.standard_network import (
    MAX_NETWORK_NAME,
    STANDARD,
    StandardNetwork,
    default_batch_size,
    find_standard,
    is_standard,
    register,
    standard,
)
from models_app.networks.published.vgg16 import VGG16

# Forms and messages list them in this order.
for network in (
    LENET, ALEXNET, GOOGLENET, VGG16, RESNET18, RESNET50, MOBILENET_V2, SQUEEZENET, EFFICIENTNET_LITE0,
    ALEXNET_TORCH, GOOGLENET_TORCH, RESNET18_TORCH, RESNET50_TORCH,
):  # fmt: skip
    register(network)

__all__ = [
    "MAX_NETWORK_NAME",
    "STANDARD",
    "StandardNetwork",
    "default_batch_size",
    "find_standard",
    "is_standard",
    "register",
    "standard",
]
