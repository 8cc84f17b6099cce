"""Checks whether images can be augmented as the settings say."""

from __future__ import annotations

from models_app.training.augmentation.declaration import QUAD_ROTATIONS, Augmentation
from models_app.training.hyperparameter_declaration import BadHyperparameter

COLOURS = 3  # channels: red, green and blue


def check_images(settings: Augmentation, image_shape: tuple[int, int, int]) -> None:
    """Raise BadHyperparameter if images of this shape (channels, height, width) can't be augmented so."""
    channels, height, width = image_shape
    if settings.aug_hsv_use and channels != COLOURS:
        raise BadHyperparameter(
            "aug_hsv_use", f"aug_hsv_use needs images of red, green and blue; these have {channels} channels"
        )
    if 90 in QUAD_ROTATIONS.get(settings.aug_quad_rot, ()) and height != width:
        raise BadHyperparameter(
            "aug_quad_rot",
            f"aug_quad_rot {settings.aug_quad_rot} turns images by 90 degrees, so they must be square; these are "
            f"{width}×{height}; rot180 is possible",
        )
