"""The policies light, trivialaugment and randaugment.

trivialaugment draws one operation of a table and its strength, randaugment two of the strength aug_magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from models_app.training.augmentation import colours
from models_app.training.augmentation.declaration import LIGHT, MAX_MAGNITUDE, RAND, TRIVIAL, Augmentation
from models_app.training.augmentation.geometry import random_part, turned
from models_app.training.augmentation.operation_registry import Operation
from models_app.training.augmentation.streams import between
from models_app.training.augmentation.views import View, look_up

LIGHT_SCALE, LIGHT_RATIO, LIGHT_JITTER = 0.5, 4 / 3, 0.2
SIGNED_NUMBERS = 3  # drawn for each choice: which operation, its strength, its sign
RAND_CHOICES = 2
GREYS = np.arange(256)

PlaneFilter = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Choice:
    """An operation of a policy. `change` adds it to a view, with a strength.

    narrow, wide: the strength at the magnitude 30, of randaugment and of trivialaugment.
    signed: whether its sign is random.
    """

    change: Callable[[View, float], None]
    narrow: float
    wide: float
    signed: bool = True


def light(settings: Augmentation, drawn: Sequence[float], view: View) -> None:
    """Flips left to right, random resized crops, and small changes of brightness, contrast and saturation."""
    view.transform(np.diag([-1.0 if drawn[0] < 0.5 else 1.0, 1]))
    view.part = random_part(view, LIGHT_SCALE, LIGHT_RATIO, drawn[1:5])
    adjusts = (colours.brightness, colours.contrast, colours.saturation)
    for adjust, number in zip(adjusts, drawn[5:], strict=True):
        view.adjust(adjust(between(1 - LIGHT_JITTER, 1 + LIGHT_JITTER, number)))


def trivial(settings: Augmentation, drawn: Sequence[float], view: View) -> None:
    choice = _chosen(drawn[0])
    _apply(choice, choice.wide * drawn[1], drawn[2], view)


def rand(settings: Augmentation, drawn: Sequence[float], view: View) -> None:
    for first in range(0, RAND_CHOICES * SIGNED_NUMBERS, SIGNED_NUMBERS):
        choice = _chosen(drawn[first])
        _apply(choice, choice.narrow * settings.aug_magnitude / MAX_MAGNITUDE, drawn[first + 2], view)


def _chosen(number: float) -> Choice:
    return CHOICES[int(number * len(CHOICES))]


def _apply(choice: Choice, strength: float, sign: float, view: View) -> None:
    choice.change(view, -strength if choice.signed and sign < 0.5 else strength)


def _shear_across(view: View, strength: float) -> None:
    view.transform(np.array([[1, strength], [0, 1]]))


def _shear_down(view: View, strength: float) -> None:
    view.transform(np.array([[1, 0], [strength, 1]]))


def _rotate(view: View, degrees: float) -> None:
    view.transform(turned(math.cos(math.radians(degrees)), math.sin(math.radians(degrees))))


def _sharpen(view: View, strength: float) -> None:
    def sharpened(plane: Image.Image) -> Image.Image:
        return Image.blend(plane.filter(ImageFilter.SMOOTH), plane, 1 + strength)

    view.steps.append(_of_planes(sharpened))


def _posterize(view: View, bits: float) -> None:
    kept = 256 - (1 << round(bits))  # the highest bits of each value
    view.steps.append(lambda image: look_up(image, GREYS & kept))


def _solarize(view: View, strength: float) -> None:
    inverted_from = 256 - strength
    view.steps.append(lambda image: look_up(image, np.where(inverted_from > GREYS, GREYS, 255 - GREYS)))


def _of_planes(change: PlaneFilter) -> Callable[[np.ndarray], None]:
    """A step that changes each channel by itself."""

    def step(image: np.ndarray) -> None:
        for plane in image:
            plane[:] = change(Image.fromarray(plane))

    return step


CHOICES = (
    Choice(lambda view, _: None, 0, 0),
    Choice(_shear_across, 0.3, 0.99),
    Choice(_shear_down, 0.3, 0.99),
    Choice(lambda view, share: view.move(share * view.width, 0), 0.45, 0.15),
    Choice(lambda view, share: view.move(0, share * view.height), 0.45, 0.15),
    Choice(_rotate, 30, 135),
    Choice(lambda view, strength: view.adjust(colours.brightness(1 + strength)), 0.9, 0.99),
    Choice(lambda view, strength: view.adjust(colours.saturation(1 + strength)), 0.9, 0.99),
    Choice(lambda view, strength: view.adjust(colours.contrast(1 + strength)), 0.9, 0.99),
    Choice(_sharpen, 0.9, 0.99),
    Choice(_posterize, 4, 6, signed=False),
    Choice(_solarize, 256, 256, signed=False),
    Choice(lambda view, _: view.steps.append(_of_planes(ImageOps.autocontrast)), 0, 0),
    Choice(lambda view, _: view.steps.append(_of_planes(ImageOps.equalize)), 0, 0),
)


def _operation(
    policy: str, stream: int, numbers: int, change: Callable[[Augmentation, Sequence[float], View], None]
) -> Operation:
    return Operation(policy, stream, numbers, lambda settings: settings.aug_policy == policy, change)


POLICY_OPERATIONS = (
    _operation(LIGHT, 7, 8, light),
    _operation(TRIVIAL, 9, SIGNED_NUMBERS, trivial),
    _operation(RAND, 10, RAND_CHOICES * SIGNED_NUMBERS, rand),
)
