"""Resizing, how photos are brought to the size of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from datasets.imagedb.images.resize import INTERPOLATIONS, InputResize
from models_app.networks.layer import BadNetwork
from models_app.networks.layers import Shape


@dataclass(frozen=True)
class Resizing:
    """A square of each image is scaled to the network's size, as was done when its weights were published.

    crop_fraction: the side of that square, as a fraction of the image's shorter side.
    interpolation: the filter, a key of INTERPOLATIONS.
    """

    crop_fraction: float
    interpolation: str = "bilinear"

    def of(self, height: int, width: int, size: int, window: int | None = None) -> InputResize | None:
        """How images of that height and width become `size` pixels a side; None if a square of the images, or the whole
        image, has that size already.

        `window`: the side of the square; None: the crop fraction decides. It never makes the square smaller than the
        network, so an image that is large enough is not enlarged.
        """
        shorter = min(height, width)
        if window is None:
            wanted = max(1, round(shorter * self.crop_fraction))
            window = max(wanted, size) if shorter >= size else wanted
        return None if window == size else InputResize(window, size, self.interpolation)

    @classmethod
    def used(cls, image_shape: Shape, input_shape: Shape, resize: InputResize | None) -> Resizing:
        """The resizing of a training on images of that shape: with `resize`, else they were cropped at most."""
        window, interpolation = (resize.window, resize.interpolation) if resize else (min(input_shape[1:]), "bilinear")
        return cls(window / min(image_shape[1:]), interpolation)

    def to_dict(self) -> dict[str, Any]:
        """The values for JSON; from_dict gives an equal object back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Resizing:
        """Raises BadNetwork for values that can't be a resizing."""
        try:
            made = cls(**data)
            if 0 < made.crop_fraction <= 1 and made.interpolation in INTERPOLATIONS:
                return made
        except TypeError as error:
            raise BadNetwork(f"this is not a resizing: {error}") from error
        raise BadNetwork(f"a resizing needs a crop_fraction above 0 and an interpolation, not {made}")


PHOTOS = Resizing(0.875)  # torchvision's, of 224 in 256 pixels; also for networks that say nothing
WHOLE = Resizing(1.0)
