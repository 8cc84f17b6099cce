"""Networks as data: the classes that describe and check a network, and the standard networks. No engine in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from models_app.networks.graph import Network, parameter_count
from models_app.networks.layer import PHASES, BadNetwork, Layer, Multipliers
from models_app.networks.published.alexnet import alexnet
from models_app.networks.published.googlenet import googlenet
from models_app.networks.published.lenet import lenet
from models_app.networks.published.mobilenet import mobilenet_v2
from models_app.networks.published.resnet import resnet18, resnet50
from models_app.networks.published.squeezenet import squeezenet
from models_app.networks.published.stack import Frame
from models_app.networks.published.vgg16 import vgg16
from models_app.networks.resolve import Node, Weight

__all__ = [
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


@dataclass(frozen=True)
class StandardNetwork:
    """A published network: a function that builds it for an image shape and a number of categories.

    `crop_size` is the default side of the square that it crops from larger images, in pixels; 0: no crop.
    """

    make: Callable[[Frame, int], Network]
    batch_size: int
    crop_size: int = 0


# Batch sizes and crops are those of DIGITS and of the Caffe models, where they publish any.
STANDARD = {
    "lenet": StandardNetwork(lenet, batch_size=64),
    "alexnet": StandardNetwork(alexnet, batch_size=128, crop_size=227),
    "googlenet": StandardNetwork(googlenet, batch_size=32, crop_size=224),
    "vgg16": StandardNetwork(vgg16, batch_size=16, crop_size=224),
    "resnet18": StandardNetwork(resnet18, batch_size=32, crop_size=224),
    "resnet50": StandardNetwork(resnet50, batch_size=16, crop_size=224),
    "mobilenet_v2": StandardNetwork(mobilenet_v2, batch_size=32, crop_size=224),
    "squeezenet": StandardNetwork(squeezenet, batch_size=32, crop_size=224),
}


def standard(name: str, image_shape: tuple[int, int, int], categories: int, crop_size: int | None = None) -> Network:
    """A standard network, checked, for images of that shape (channels, height, width).

    It crops a square of `crop_size` pixels from them; None: the network's own crop size if the images are that large;
    0: no crop. Raises BadNetwork if the name is unknown, the images are smaller than the crop, or a layer does not fit.
    """
    if categories < 1:
        raise BadNetwork(f"a classifier needs at least one category, not {categories}")
    published = _published(name)
    if crop_size is None:
        crop_size = published.crop_size if published.crop_size <= min(image_shape[1:]) else 0
    network = published.make(_frame(image_shape, crop_size), categories)
    network.check()
    return network


def _frame(image_shape: tuple[int, int, int], crop_size: int) -> Frame:
    channels, height, width = image_shape
    if not 0 <= crop_size <= min(height, width):
        raise BadNetwork(f"crop_size must be from 1 to the size of the images, {height}×{width}, not {crop_size}")
    return Frame((channels, crop_size, crop_size) if crop_size else image_shape, crop_size)


def default_batch_size(name: str) -> int:
    """The default batch size of a standard network, in images."""
    return _published(name).batch_size


def _published(name: str) -> StandardNetwork:
    if name not in STANDARD:
        raise BadNetwork(f"there is no standard network {name!r}; there are: {', '.join(sorted(STANDARD))}")
    return STANDARD[name]
