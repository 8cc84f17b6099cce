"""What augmentation does with one image: one matrix for its geometry, then steps that change its colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from models_app.training.augmentation.warp import warp
from models_app.training.data.crops import InputLayout, Window

Matrix: TypeAlias = np.ndarray  # 3×3, of homogeneous coordinates (x, y, 1)
Step: TypeAlias = Callable[[np.ndarray], None]  # changes the pixels of an image, uint8, C×H×W, in place
Adjust: TypeAlias = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From the channels' means: a matrix, channels × channels, and an offset for each channel."""


@dataclass
class ColourMatrix:
    """Several linear changes of the colours, computed as one: rounded and limited to 0 to 255 only at the end."""

    adjusts: list[Adjust]

    def __call__(self, image: np.ndarray) -> None:
        channels = len(image)
        means = np.array([plane.mean(dtype=np.float32) for plane in image], np.float64)
        matrix, offset = np.eye(channels), np.zeros(channels)
        for adjust in self.adjusts:
            further, added = adjust(matrix @ means + offset)
            matrix, offset = further @ matrix, further @ offset + added
        if np.array_equal(matrix, np.diag(matrix.diagonal())):
            for plane, factor, more in zip(image, matrix.diagonal(), offset, strict=True):
                look_up(plane, factor * np.arange(256) + more)
            return
        mixed = np.tensordot(matrix.astype(np.float32), image.astype(np.float32), 1)
        mixed += offset.astype(np.float32)[:, np.newaxis, np.newaxis]
        store(mixed, image)


@dataclass
class View:
    """The changes of one image, to which each operation adds its own.

    layout: the shapes of the image that is read and of what the network takes.
    generator: returns the random numbers of an operation for each pixel, by the operation's stream.
    frame: maps the points of the changed image to those of the image as it was, in pixels from the upper left corner.
    part: left, top, width and height of the part that is scaled to the input; None: the window that is drawn for the
        image without augmentation too.
    steps: change the pixels afterwards, in this order.
    """

    layout: InputLayout
    generator: Callable[[int], np.random.Generator]
    frame: Matrix = field(default_factory=lambda: np.eye(3))
    part: tuple[float, float, float, float] | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def height(self) -> int:
        """The height of the image that is read, in pixels."""
        return self.layout.image_shape[1]

    @property
    def width(self) -> int:
        return self.layout.image_shape[2]

    def transform(self, linear: np.ndarray) -> None:
        """Move the image's points about its centre; `linear`, 2×2, maps the new points to the old ones."""
        centre = np.array([self.width, self.height]) / 2
        matrix = np.eye(3)
        matrix[:2, :2] = linear
        matrix[:2, 2] = centre - linear @ centre
        self.frame = self.frame @ matrix

    def move(self, right: float, down: float) -> None:
        """Show what lies so many pixels further to the right and down."""
        self.frame = self.frame @ np.array([[1.0, 0, right], [0, 1, down], [0, 0, 1]])

    def adjust(self, adjust: Adjust) -> None:
        """Change the colours linearly; consecutive changes are computed as one."""
        last = self.steps[-1] if self.steps else None
        if isinstance(last, ColourMatrix):
            last.adjusts.append(adjust)
        else:
            self.steps.append(ColourMatrix([adjust]))

    def render(self, image: np.ndarray, window: Window, out: np.ndarray) -> None:
        """Compute the changed image from the one that was read; both are uint8, C×H×W."""
        if self.part is None and np.array_equal(self.frame, np.eye(3)):
            self.layout.put(window.of(image, *self.layout.window_shape), out)
        else:
            warp(image, self.frame @ self._cut(window), out)
        for step in self.steps:
            step(out)

    def _cut(self, window: Window) -> Matrix:
        """Maps the points of the input to those of the changed image."""
        _, rows, columns = self.layout.input_shape
        window_height, window_width = self.layout.window_shape
        left, top, width, height = self.part or (window.left, window.top, window_width, window_height)
        cut = np.array([[width / columns, 0, left], [0, height / rows, top], [0, 0, 1]])
        return cut @ np.array([[-1.0, 0, columns], [0, 1, 0], [0, 0, 1]]) if window.flipped else cut


def look_up(plane: np.ndarray, table: np.ndarray) -> None:
    """Replace each value of uint8 by that of a table of 256 numbers, rounded and limited to 0 to 255, in place."""
    plane[:] = np.clip(np.rint(table), 0, 255).astype(np.uint8)[plane]


def store(values: np.ndarray, image: np.ndarray) -> None:
    """Write floats into an image of uint8, rounded and limited to 0 to 255. Overwrites `values`."""
    np.rint(values, out=values)
    np.clip(values, 0, 255, out=values)
    image[:] = values
