"""Resizes images: to the size of a dataset, and from there to the size of a network.

Building a database, training and classifying all use these functions, so they get the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from digits_project.common.errors import BadInput

# A triangle filter over all source pixels of a target pixel: antialiased, no ringing, the same on every machine.
FILTER = Image.Resampling.BILINEAR
INTERPOLATIONS = {"bilinear": FILTER, "bicubic": Image.Resampling.BICUBIC}  # both antialiased, in fixed-point numbers
PROPERTY = "input_resize"  # of model.onnx: an InputResize as JSON
MAX_SIDE = 4096  # pixels of an image, of a dataset or a network


def resize(image: Image.Image, width: int, height: int, mode: str) -> Image.Image:
    """The image at exactly width × height pixels, in the same colour mode. Deterministic.

    squash ignores the aspect ratio. The other modes keep it and differ in the scale, in source pixels per target pixel:
    crop takes the smaller ratio of width and height (the image covers the target, its centre is kept), fill the larger
    (the whole image fits inside), half_crop the mean of both (one dimension is cropped, the other filled).
    Uncovered pixels are black. DIGITS filled them with random noise, which would give one image two answers.
    """
    if image.size == (width, height):
        return image
    if mode == "squash":
        return image.resize((width, height), FILTER)
    across, down = image.width / width, image.height / height
    ratio = {"crop": min(across, down), "fill": max(across, down), "half_crop": (across + down) / 2}[mode]
    return _centred(image, width, height, ratio)


def _centred(image, width, height, ratio):
    """The centre of the image at `ratio` source pixels per target pixel, on a black background.

    The resize itself crops (`box`), so a very long image is never enlarged in between.
    """
    kept_width, kept_height = min(image.width, width * ratio), min(image.height, height * ratio)
    left, top = (image.width - kept_width) / 2, (image.height - kept_height) / 2
    box = (left, top, min(left + kept_width, image.width), min(top + kept_height, image.height))
    size = (_rounded(kept_width / ratio, width), _rounded(kept_height / ratio, height))
    kept = image.resize(size, FILTER, box=box)
    if size == (width, height):
        return kept
    canvas = Image.new(image.mode, (width, height))
    canvas.paste(kept, ((width - size[0]) // 2, (height - size[1]) // 2))
    return canvas


def _rounded(length, limit):
    return min(max(round(length), 1), limit)


@dataclass(frozen=True)
class InputResize:
    """How the images of a dataset are brought to the size that a network takes: a square of each is scaled.

    window: the side of the square, in pixels of the dataset's images: their middle, or in training a random place.
    size: the side of the network's images.
    interpolation: the filter, a key of INTERPOLATIONS.
    """

    window: int
    size: int
    interpolation: str

    def __post_init__(self) -> None:
        for name in ("window", "size"):
            side = getattr(self, name)
            if not isinstance(side, int) or not 1 <= side <= MAX_SIDE:
                raise BadInput(f"the {name} of input_resize must be from 1 to {MAX_SIDE} pixels, not {side!r}")
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise BadInput(f"the interpolation of input_resize must be one of {known}, not {self.interpolation!r}")

    def to_dict(self) -> dict[str, Any]:
        """The values for JSON; from_dict gives an equal object back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> InputResize:
        """Raises BadInput for values that are missing, unknown or out of range."""
        try:
            return cls(**data)
        except TypeError as error:
            raise BadInput(f"this is not an input_resize: {error}") from error

    def to_properties(self) -> dict[str, str]:
        """The metadata of the model.onnx that takes the scaled images."""
        return {PROPERTY: json.dumps(self.to_dict())}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> InputResize | None:
        """The inverse of to_properties; None if the network takes the dataset's images as they are. Raises BadInput."""
        written = properties.get(PROPERTY)
        return cls.from_dict(json.loads(written)) if written else None

    def middle(self, planes: np.ndarray) -> np.ndarray:
        """The scaled middle of an image, C×H×W; an odd rest is rounded down as in Caffe."""
        height, width = planes.shape[1:]
        top, left = (height - self.window) // 2, (width - self.window) // 2
        return self.scaled(planes[:, top : top + self.window, left : left + self.window])

    def scaled(self, planes: np.ndarray) -> np.ndarray:
        """An image or a part of one, C×H×W, uint8 or float32, as C×size×size.

        Each channel is scaled alone, which gives the bits that a colour image gets and takes half the time.
        """
        made = np.empty((len(planes), self.size, self.size), planes.dtype)
        for plane, target in zip(planes, made, strict=True):
            image = Image.fromarray(np.ascontiguousarray(plane))
            target[:] = image.resize((self.size, self.size), INTERPOLATIONS[self.interpolation])
        return made
