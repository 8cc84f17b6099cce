"""Shifts of hue, saturation and value, normally distributed, as DIGITS had them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.operation_registry import Operation
from models_app.training.augmentation.streams import normal
from models_app.training.augmentation.views import View, store

WHITE = np.float32(255)
SECTORS = (5, 3, 1)  # of the circle of colours in sixths, where red, green and blue begin to fall


def shift(settings: Augmentation, drawn: Sequence[float], view: View) -> None:
    deviations = (settings.aug_hsv_h, settings.aug_hsv_s, settings.aug_hsv_v)
    hue, saturation, value = (deviation * normal(number) for deviation, number in zip(deviations, drawn, strict=True))
    view.steps.append(lambda image: shifted(image, hue, saturation, value))


def shifted(image: np.ndarray, hue: float, saturation: float, value: float) -> None:
    """Add to the hue, saturation and value of an image of red, green and blue, in place. All are 0 to 1; the hue turns
    around the circle, the others are limited to that range."""
    values = image.astype(np.float32) / WHITE
    highest = values.max(axis=0)
    spread = highest - values.min(axis=0)
    hues = _hue(values, highest, spread) + np.float32(6 * hue)
    saturations = np.clip(spread / np.maximum(highest, np.float32(1e-9)) + np.float32(saturation), 0, 1)
    brightest = np.clip(highest + np.float32(value), 0, 1)
    lost = brightest * saturations
    for plane, sector in zip(image, SECTORS, strict=True):
        place = (hues + sector) % 6
        store((brightest - lost * np.clip(np.minimum(place, 4 - place), 0, 1)) * WHITE, plane)


def _hue(values: np.ndarray, highest: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The hue in sixths of the circle of colours, 0 to below 6; 0 for greys."""
    red, green, blue = values
    divisor = np.maximum(spread, np.float32(1e-9))
    of_green_or_blue = np.where(green == highest, (blue - red) / divisor + 2, (red - green) / divisor + 4)
    return np.where(red == highest, (green - blue) / divisor, of_green_or_blue)


HSV = Operation("aug_hsv_use", 11, 3, lambda settings: settings.aug_hsv_use, shift)
