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
from models_app.networks.timm.timm_catalogue import PREFIX, facts_of, is_timm
from models_app.networks.timm.timm_network import timm_network

MAX_NETWORK_NAME = 80  # characters: the length of the column `standard_network`
TIMM_BATCH_SIZE = 32


@dataclass(frozen=True)
class StandardNetwork:
    """A published network: a function that builds it for an image shape and a number of categories.

    name: the network in forms and columns, such as "lenet".
    batch_size: the default batch size, that of DIGITS or of the Caffe model where they publish one.
    size: the side of the images that it was designed for, in pixels.
    crops: whether it crops a square of that size from larger images.
    normalization: that of the weights that PyTorch's libraries and packages have for it; None: it has none.
    resizing: how images were brought to its size for these weights.
    summary: what it is for, in one sentence.
    """

    name: str
    make: Callable[[Frame, int], Network]
    batch_size: int
    size: int
    crops: bool = True
    normalization: Normalization | None = None
    resizing: Resizing = PHOTOS
    summary: str = ""

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
    published = find_standard(name)
    if crop_size is None:
        crop_size = published.crop_size if published.size <= min(image_shape[1:]) else 0
    network = published.make(_frame(image_shape, crop_size), categories)
    own = published.normalization and published.normalization.for_channels(image_shape[0])
    network = replace(network, normalization=own, resizing=published.resizing)
    network.check()
    return network


def default_batch_size(name: str) -> int:
    """The default batch size of a standard network, in images."""
    return find_standard(name).batch_size


def find_standard(name: str) -> StandardNetwork:
    """The standard network of that name; "timm/…" is one of timm's. Raises BadNetwork for an unknown name."""
    if is_timm(name):
        return _of_timm(name.removeprefix(PREFIX))
    if name not in STANDARD:
        raise BadNetwork(f"there is no standard network {name!r}; choose one of {', '.join(sorted(STANDARD))}")
    return STANDARD[name]


def is_standard(name: str) -> bool:
    """Whether there is a standard network of that name."""
    try:
        find_standard(name)
    except BadNetwork:
        return False
    return True


def _frame(image_shape: tuple[int, int, int], crop_size: int) -> Frame:
    channels, height, width = image_shape
    if not 0 <= crop_size <= min(height, width):
        raise BadNetwork(f"crop_size must be from 1 to the size of the images, {height}×{width}, not {crop_size}")
    return Frame((channels, crop_size, crop_size) if crop_size else image_shape, crop_size)


def _of_timm(model: str) -> StandardNetwork:
    facts = facts_of(model)

    def make(frame: Frame, categories: int) -> Network:
        return timm_network(model, frame.input_shape, categories, frame.crop_size)

    own = (facts.normalization, facts.resizing)
    return StandardNetwork(PREFIX + model, make, TIMM_BATCH_SIZE, facts.size, True, *own)
