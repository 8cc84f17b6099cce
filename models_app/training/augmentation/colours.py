"""Linear changes of colours: brightness, contrast and saturation, each as a matrix and an offset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.operation_registry import Operation
from models_app.training.augmentation.streams import between
from models_app.training.augmentation.views import Adjust, View

GREY = np.array([0.299, 0.587, 0.114])  # the weights of red, green and blue in the grey of an image


def grey_weights(channels: int) -> np.ndarray:
    """The weight of each channel in the grey of an image; images that are not RGB weight all alike."""
    return GREY if channels == len(GREY) else np.full(channels, 1 / channels)


def channel_contrast(factor: float) -> Adjust:
    """Multiplies each channel's distance from its mean."""
    return lambda means: (np.eye(len(means)) * factor, (1 - factor) * means)


def contrast(factor: float) -> Adjust:
    """Multiplies the distance of all channels from the mean grey."""
    return lambda means: (
        np.eye(len(means)) * factor,
        np.full(len(means), (1 - factor) * (grey_weights(len(means)) @ means)),
    )


def brightness(factor: float) -> Adjust:
    return lambda means: (np.eye(len(means)) * factor, np.zeros(len(means)))


def saturation(factor: float) -> Adjust:
    """Multiplies the distance of each pixel from its grey; an image of one channel stays as it is."""
    return lambda means: (
        np.eye(len(means)) * factor + (1 - factor) * np.outer(np.ones(len(means)), grey_weights(len(means))),
        np.zeros(len(means)),
    )


def change_contrast(settings: Augmentation, drawn: Sequence[float], view: View) -> None:
    view.adjust(channel_contrast(between(1 - settings.aug_contrast, 1 + settings.aug_contrast, drawn[0])))


CONTRAST = Operation("aug_contrast", 8, 1, lambda settings: settings.aug_contrast > 0, change_contrast)
