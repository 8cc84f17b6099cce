"""Finds marks: a part of the picture that looks the same in nearly all images of one category, and in nearly none of
the others, such as a watermark, a date or a frame. A network learns it instead of what the category shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets.report.image_measures import SIDE
from datasets.report.vectors.vector_file import VectorFile

MIN_DIFFERENCE = 0.85  # of the share of the category's images that look the same there, and that of the others
MIN_IMAGES = 20  # of the category
MAX_CATEGORIES = 100  # with more, the counts would take too much memory
LEVELS = 16  # of the brightness; two that are side by side count as the same


@dataclass(frozen=True)
class Mark:
    """A part that `share` of the images of a category have in common, and `of_others` of the other images. box: its
    left, top, right and lower edge, 0 to 1."""

    category: int
    share: float
    of_others: float
    box: tuple[float, float, float, float]

    @property
    def place(self) -> str:
        """Where it is, in words."""
        left, top, right, lower = self.box
        row = ("top", "", "bottom")[min(2, int(3 * (top + lower) / 2))]
        column = ("left", "", "right")[min(2, int(3 * (left + right) / 2))]
        return f"at the {' '.join(filter(None, (row, column)))}" if row or column else "in the middle"

    def to_json(self) -> dict[str, Any]:
        """The facts as the summary has them."""
        return {
            "category": self.category,
            "share": round(self.share, 4),
            "of_others": round(self.of_others, 4),
            "box": [round(edge, 4) for edge in self.box],
        }


def find_marks(thumbnails: VectorFile, categories: np.ndarray, count: int, tick: Callable[[], None]) -> Sequence[Mark]:
    """The marks, the clearest first; none with one category, or more than MAX_CATEGORIES."""
    if not 1 < count <= MAX_CATEGORIES:
        return []
    counts = np.zeros((count, thumbnails.size, LEVELS), np.int32)
    cells = np.arange(thumbnails.size)
    for first, block in thumbnails.blocks():
        levels = block.astype(np.uint8) // (256 // LEVELS)
        for category, row in zip(categories[first : first + len(block)], levels, strict=True):
            counts[category, cells, row] += 1
        tick()
    sizes = np.bincount(categories, minlength=count)
    alike = counts[:, :, :-1] + counts[:, :, 1:]
    of_all = alike.sum(axis=0)
    found = [
        _mark(number, alike[number] / sizes[number], (of_all - alike[number]) / (len(categories) - sizes[number]))
        for number in np.flatnonzero((sizes >= MIN_IMAGES) & (sizes < len(categories))).tolist()
    ]
    return sorted((mark for mark in found if mark), key=lambda mark: mark.of_others - mark.share)


def _mark(category: int, own: np.ndarray, others: np.ndarray) -> Mark | None:
    """`own`, `others`: for each cell and each pair of levels, the share of the images that have it."""
    differences = own - others
    cells = np.flatnonzero((differences >= MIN_DIFFERENCE).any(axis=1))
    if not len(cells):
        return None
    rows, columns = np.divmod(cells, SIDE)
    clearest = np.unravel_index(differences.argmax(), own.shape)
    edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    left, top, right, lower = (float(edge / SIDE) for edge in edges)
    return Mark(category, float(own[clearest]), float(others[clearest]), (left, top, right, lower))
