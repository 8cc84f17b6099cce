"""White Gaussian noise, and rectangles that are erased by noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.operation_registry import Operation
from models_app.training.augmentation.streams import between
from models_app.training.augmentation.views import View, store

WHITE = 255
MIN_ERASED, MAX_ERASED, MAX_RATIO = 0.02, 1 / 3, 3.3  # areas of the image, and the aspect ratio, of a rectangle
NOISE_STREAM, ERASING_STREAM = 12, 13


def add_noise(settings: Augmentation, drawn: Sequence[float], view: View) -> None:
    def step(image: np.ndarray) -> None:
        values = view.generator(NOISE_STREAM).standard_normal(image.shape, np.float32)
        values *= np.float32(settings.aug_noise * WHITE)
        values += image
        store(values, image)

    view.steps.append(step)


def erase(settings: Augmentation, drawn: Sequence[float], view: View) -> None:
    if drawn[0] >= settings.random_erasing:
        return

    def step(image: np.ndarray) -> None:
        channels, height, width = image.shape
        area = between(MIN_ERASED, MAX_ERASED, drawn[1]) * height * width
        aspect = math.exp(between(-math.log(MAX_RATIO), math.log(MAX_RATIO), drawn[2]))
        rows = min(max(1, round(math.sqrt(area / aspect))), height)
        columns = min(max(1, round(math.sqrt(area * aspect))), width)
        top, left = int(drawn[3] * (height - rows + 1)), int(drawn[4] * (width - columns + 1))
        noise = view.generator(ERASING_STREAM).integers(0, WHITE + 1, (channels, rows, columns), np.uint8)
        image[:, top : top + rows, left : left + columns] = noise

    view.steps.append(step)


NOISE = Operation("aug_noise", NOISE_STREAM, 0, lambda settings: settings.aug_noise > 0, add_noise)
ERASING = Operation("random_erasing", ERASING_STREAM, 5, lambda settings: settings.random_erasing > 0, erase)
