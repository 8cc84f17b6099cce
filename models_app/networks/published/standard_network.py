"""The registry of the standard networks, and how a network of it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from digits_project.common import declarations
from models_app.networks.graph import Network
from models_app.networks.layer import BadNetwork
from models_app.networks.normalization import Normalization
from models_app.networks.published.stack import Frame
from models_app.networks.resizing import PHOTOS, Resizing

MAX_NETWORK_NAME = 40  # characters: the length of the column `standard_network`


@dataclass(frozen=True)
class StandardNetwork:
    """A published network: a function that builds it for an image shape and a number of categories.

    name: the network in forms and columns, such as "lenet".
    batch_size: the default batch size, that of DIGITS or of the Caffe model where they publish one.
    size: the side of the images that it was designed for, in pixels.
    crops: whether it crops a square of that size from larger images.
    normalization: that of the weights that PyTorch's libraries and packages have for it; None: it has none.
    resizing: how images were brought to its size for these weights.
    """

    name: str
    make: Callable[[Frame, int], Network]
    batch_size: int
    size: int
    crops: bool = True
    normalization: Normalization | None = None
    resizing: Resizing = PHOTOS

    @property
    def crop_size(self) -> int:
        """The side of the square that is cropped from larger images, if no other crop is chosen; 0: no crop."""
        return self.size if self.crops else 0


STANDARD: dict[str, StandardNetwork] = {}  # by name


def register(network: StandardNetwork) -> StandardNetwork:
    """Add a network, after those that are registered already."""
    return declarations.add(STANDARD, network, "a standard network {!r}", MAX_NETWORK_NAME)


def standard(name: str, image_shape: tuple[int, int, int], categories: int, crop_size: int | None = None) -> Network:
    """A standard network, checked, for images of that shape (channels, height, width).

    It crops a square of `crop_size` pixels from them; None: the network's own crop size if the images are that large;
    0: no crop. Raises BadNetwork if the name is unknown, the images are smaller than the crop, or a layer does not fit.
    """
    if categories < 1:
        raise BadNetwork(f"a classifier needs at least one category, not {categories}")
    published = _published(name)
    if crop_size is None:
        crop_size = published.crop_size if published.size <= min(image_shape[1:]) else 0
    network = published.make(_frame(image_shape, crop_size), categories)
    own = published.normalization and published.normalization.for_channels(image_shape[0])
    network = replace(network, normalization=own, resizing=published.resizing)
    network.check()
    return network


def default_batch_size(name: str) -> int:
    """The default batch size of a standard network, in images."""
    return _published(name).batch_size


def _frame(image_shape: tuple[int, int, int], crop_size: int) -> Frame:
    channels, height, width = image_shape
    if not 0 <= crop_size <= min(height, width):
        raise BadNetwork(f"crop_size must be from 1 to the size of the images, {height}×{width}, not {crop_size}")
    return Frame((channels, crop_size, crop_size) if crop_size else image_shape, crop_size)


def _published(name: str) -> StandardNetwork:
    if name not in STANDARD:
        raise BadNetwork(f"there is no standard network {name!r}; choose one of {', '.join(sorted(STANDARD))}")
    return STANDARD[name]
