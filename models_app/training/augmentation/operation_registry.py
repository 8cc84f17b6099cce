"""The registry of augmentations: operations on single images, in the order in which they take place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from digits_project.common import declarations
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.views import View


@dataclass(frozen=True)
class Operation:
    """One augmentation.

    name: in messages and tests.
    stream: the number that separates its random numbers from those of other operations. It never changes, because
        seeds would mean other images then. 0 and 1 are those of the order of an epoch and of its crops.
    numbers: how many uniform random numbers it draws for each image.
    is_on: whether the settings include it.
    change: adds its change of one image to the view, from the settings and the numbers, each 0 to below 1.
    """

    name: str
    stream: int
    numbers: int
    is_on: Callable[[Augmentation], bool]
    change: Callable[[Augmentation, Sequence[float], View], None]


OPERATIONS: dict[str, Operation] = {}  # by name, in the order in which they change an image


def register(operation: Operation) -> Operation:
    """Add an operation, behind those that are registered already."""
    if operation.stream in {0, 1, *(known.stream for known in OPERATIONS.values())}:
        raise ValueError(f"the stream {operation.stream} of the operation {operation.name} is taken")
    return declarations.add(OPERATIONS, operation, "an augmentation {!r}")
