"""Crops and flips: which part of each image enters the network, and how it is scaled to the network's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from datasets.imagedb.images.resize import InputResize
from digits_project.common.errors import BadInput
from models_app.networks import Network
from models_app.networks.layers import data_and_losses
from models_app.training.augmentation.streams import uniforms

Shape = tuple[int, int, int]  # channels, height, width

CROPS = 1  # separates the random numbers of an epoch's crops from those of its order


class Window(NamedTuple):
    """First row and column of a crop, and whether it is flipped left to right."""

    top: int
    left: int
    flipped: bool

    def of(self, image: np.ndarray, height: int, width: int) -> np.ndarray:
        """The crop of `height` × `width` pixels from an image C×H×W."""
        part = image[:, self.top : self.top + height, self.left : self.left + width]
        return part[:, :, ::-1] if self.flipped else part


@dataclass(frozen=True)
class InputLayout:
    """Images of `image_shape`, from which the network takes a crop of `input_shape`; `mirror`: flip half in training.

    With `resize` the crop is a square of resize.window pixels, which is then scaled to `input_shape`. Labels are
    category numbers below `categories` or, if label_shape is not (), float32 arrays of that shape. `dtype` is the type
    of the pixels.
    """

    image_shape: Shape
    input_shape: Shape
    mirror: bool = False
    categories: int = 0
    label_shape: tuple[int, ...] = ()
    resize: InputResize | None = None
    dtype: str = "uint8"

    @property
    def window_shape(self) -> tuple[int, int]:
        """Height and width of the crop, in pixels of the stored image."""
        return (self.resize.window, self.resize.window) if self.resize else self.input_shape[1:]

    @property
    def _takes_whole_images(self) -> bool:
        return self.resize is None and self.image_shape == self.input_shape

    def put(self, part: np.ndarray, target: np.ndarray) -> None:
        """Write a crop, C×H×W, into an image of the network, scaled if `resize` says so."""
        target[:] = self.resize.scaled(part) if self.resize else part

    def middle(self, array: np.ndarray) -> np.ndarray:
        """The middle of an array C×H×W as the network takes it, uint8 or float32."""
        return self.resize.middle(array) if self.resize else centred(array, self.input_shape)

    def centre(self, images: int) -> Sequence[Window] | None:
        """The middle windows of this many images; None if the network takes whole images as they are."""
        if self._takes_whole_images:
            return None
        return [Window(*data_and_losses.middle(self.image_shape, (0, *self.window_shape)), flipped=False)] * images

    def at_random(self, seed: int, epoch: int, first: int, images: int) -> Sequence[Window] | None:
        """Random windows of `images` images of an epoch, from position `first` on. They depend on seed, epoch and
        position only. None if the network takes whole images as they are, and there is no flip.
        """
        if self._takes_whole_images and not self.mirror:
            return None
        (_, height, width), (rows, columns) = self.image_shape, self.window_shape
        return [
            Window(int(down * (height - rows + 1)), int(right * (width - columns + 1)), self.mirror and flip < 0.5)
            for down, right, flip in uniforms(seed, epoch, CROPS, first, images, 3).tolist()
        ]


def centred(array: np.ndarray, input_shape: Shape) -> np.ndarray:
    """The middle crop of an array whose last axes are channels, height, width."""
    top, left = data_and_losses.middle(array.shape[-3:], input_shape)
    return array[..., top : top + input_shape[1], left : left + input_shape[2]]


def layout_of(network: Network, image_shape: Shape, categories: int, resize: InputResize | None = None) -> InputLayout:
    """The input layout for training this network. Raises BadInput if the images are too small for it."""
    channels, height, width = network.input_shape
    taken = (channels, resize.window, resize.window) if resize else network.input_shape
    if image_shape[0] != channels or image_shape[1] < taken[1] or image_shape[2] < taken[2]:
        wanted, given = ("×".join(map(str, shape)) for shape in (taken, image_shape))
        raise BadInput(f"the network takes {wanted}, but the images are {given} (channels×height×width)")
    if resize and (resize.size, resize.size) != (height, width):
        raise BadInput(f"images are scaled to {resize.size}×{resize.size}, but the network takes {height}×{width}")
    data = [node.kind for node in network.nodes("train") if isinstance(node.kind, data_and_losses.Data)]
    mirror = any(kind.mirror for kind in data)
    return InputLayout(image_shape, network.input_shape, mirror, categories, network.label_shape, resize)
