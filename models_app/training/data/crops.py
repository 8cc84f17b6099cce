"""Crops and flips: which part of each image enters the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from digits_project.common.errors import BadInput
from models_app.networks import Network
from models_app.networks.layers import data_and_losses

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

    Labels are category numbers below `categories` or, if label_shape is not (), float32 arrays of that shape.
    """

    image_shape: Shape
    input_shape: Shape
    mirror: bool = False
    categories: int = 0
    label_shape: tuple[int, ...] = ()

    def centre(self, images: int) -> Sequence[Window] | None:
        """The middle windows of this many images; None if the crop is the whole image."""
        if self.image_shape == self.input_shape:
            return None
        return [Window(*data_and_losses.middle(self.image_shape, self.input_shape), flipped=False)] * images

    def at_random(self, seed: int, epoch: int, first: int, images: int) -> Sequence[Window] | None:
        """Random windows of `images` images of an epoch, from position `first` on. They depend on seed, epoch and
        position only. None if the crop is the whole image and there is no flip.
        """
        if self.image_shape == self.input_shape and not self.mirror:
            return None
        bits = np.random.PCG64(np.random.SeedSequence([seed, epoch, CROPS]))
        bits.advance(3 * first)  # a draw takes one number
        (_, height, width), (_, rows, columns) = self.image_shape, self.input_shape
        return [
            Window(int(down * (height - rows + 1)), int(right * (width - columns + 1)), self.mirror and flip < 0.5)
            for down, right, flip in np.random.Generator(bits).random((images, 3)).tolist()
        ]


def centred(array: np.ndarray, input_shape: Shape) -> np.ndarray:
    """The middle crop of an array whose last axes are channels, height, width."""
    top, left = data_and_losses.middle(array.shape[-3:], input_shape)
    return array[..., top : top + input_shape[1], left : left + input_shape[2]]


def layout_of(network: Network, image_shape: Shape, categories: int) -> InputLayout:
    """The input layout for training this network. Raises BadInput if the images are too small for it."""
    channels, height, width = network.input_shape
    if image_shape[0] != channels or image_shape[1] < height or image_shape[2] < width:
        taken, given = ("×".join(map(str, shape)) for shape in (network.input_shape, image_shape))
        raise BadInput(f"the network takes {taken}, but the images are {given} (channels×height×width)")
    data = [node.kind for node in network.nodes("train") if isinstance(node.kind, data_and_losses.Data)]
    return InputLayout(
        image_shape, network.input_shape, any(kind.mirror for kind in data), categories, network.label_shape
    )
