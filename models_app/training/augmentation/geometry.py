"""Flips, rotations, zooms and random resized crops: they change the matrix of an image's view."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from models_app.training.augmentation.declaration import LEFT_RIGHT, NONE, QUAD_ROTATIONS, UP_DOWN, Augmentation
from models_app.training.augmentation.operation_registry import Operation
from models_app.training.augmentation.streams import between, normal
from models_app.training.augmentation.views import View

MIN_SHOWN, MAX_SHOWN = 0.1, 4  # the shown part of a zoom, as a multiple of the image's size
TURNS = {0: (1, 0), 90: (0, 1), -90: (0, -1), 180: (-1, 0)}  # cosine and sine, exactly


def turned(cosine: float, sine: float) -> np.ndarray:
    """The matrix that maps the points of a turned image to those of the original."""
    return np.array([[cosine, -sine], [sine, cosine]])


def flip(settings: Augmentation, drawn: Sequence[float], view: View) -> None:
    across = settings.aug_flip in LEFT_RIGHT and drawn[0] < 0.5
    down = settings.aug_flip in UP_DOWN and drawn[1] < 0.5
    view.transform(np.diag([-1.0 if across else 1.0, -1.0 if down else 1.0]))


def quad_rotation(settings: Augmentation, drawn: Sequence[float], view: View) -> None:
    angles = QUAD_ROTATIONS[settings.aug_quad_rot]
    view.transform(turned(*TURNS[angles[int(drawn[0] * len(angles))]]))


def rotation(settings: Augmentation, drawn: Sequence[float], view: View) -> None:
    angle = math.radians(between(-settings.aug_rot, settings.aug_rot, drawn[0]))
    view.transform(turned(math.cos(angle), math.sin(angle)))


def zoom(settings: Augmentation, drawn: Sequence[float], view: View) -> None:
    """As in DIGITS, the shown part lies anywhere in the image or, if it is larger, the image lies anywhere in it."""
    shown = min(max(1 + settings.aug_scale * normal(drawn[0]), MIN_SHOWN), MAX_SHOWN)
    view.transform(np.diag([shown, shown]))
    room = (1 / shown - 1) / 2  # to each side, in units of the shown part
    view.move(between(-room, room, drawn[1]) * view.width, between(-room, room, drawn[2]) * view.height)


def resized_crop(settings: Augmentation, drawn: Sequence[float], view: View) -> None:
    view.part = random_part(view, settings.aug_crop_scale, settings.aug_crop_ratio, drawn)


def random_part(view: View, scale: float, ratio: float, drawn: Sequence[float]) -> tuple[float, float, float, float]:
    """A random part of the image, from four numbers: left, top, width and height.

    Its area is uniform between `scale` and 1; the logarithm of its aspect ratio, relative to the input's, is uniform
    between those of 1 / `ratio` and `ratio`. Where the part would be larger than the image, it is cut.
    """
    _, rows, columns = view.layout.input_shape
    area = between(scale, 1, drawn[0]) * view.height * view.width
    aspect = columns / rows * math.exp(between(-math.log(ratio), math.log(ratio), drawn[1]))
    part_width, part_height = min(math.sqrt(area * aspect), view.width), min(math.sqrt(area / aspect), view.height)
    return drawn[2] * (view.width - part_width), drawn[3] * (view.height - part_height), part_width, part_height


FLIP = Operation("aug_flip", 2, 2, lambda settings: settings.aug_flip != NONE, flip)
QUAD_ROTATION = Operation("aug_quad_rot", 3, 1, lambda settings: settings.aug_quad_rot != NONE, quad_rotation)
ROTATION = Operation("aug_rot", 4, 1, lambda settings: settings.aug_rot > 0, rotation)
ZOOM = Operation("aug_scale", 5, 3, lambda settings: settings.aug_scale > 0, zoom)
RESIZED_CROP = Operation("aug_crop_scale", 6, 4, lambda settings: settings.aug_crop_scale > 0, resized_crop)
