"""The accuracy of a list of images whose lines give the true categories, for the page of the predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.engine.classification_metrics import TOP
from inference.engine.confusion_matrix import ConfusionMatrix

MAX_COLUMNS = 50  # of a matrix on a page


@dataclass(frozen=True)
class Row:
    """The images of one category: their number, the percentage predicted correctly, and how often each category was
    predicted."""

    category: str
    images: int
    accuracy: float
    counts: list[int]  # one per column


class ListAccuracy:
    """Collects predictions for images with a known category. A number that belongs to no category is ignored."""

    def __init__(self, categories: Sequence[str]):
        self._categories = categories
        self._matrix = ConfusionMatrix(len(categories))
        self._among_best = 0

    def add(self, truths: Sequence[int | None], scores: np.ndarray) -> None:
        """Add a batch of images: the numbers of their categories, and their scores (N×categories)."""
        known = [i for i, truth in enumerate(truths) if truth is not None and 0 <= truth < len(self._categories)]
        numbers = np.array([truths[i] for i in known], np.int64)
        best = np.argsort(-scores[known], axis=1, kind="stable")[:, :TOP]
        self._matrix.add(numbers, best[:, 0])
        self._among_best += int((best == numbers[:, None]).sum())

    @property
    def images(self) -> int:
        """The number of images with a known category."""
        return self._matrix.images

    @property
    def accuracy(self) -> float:
        """The percentage of images that were predicted correctly."""
        return _percent(int(self._matrix.right.sum()), self.images)

    @property
    def accuracy_of_five(self) -> float:
        """The percentage of images whose category is among the five best."""
        return _percent(self._among_best, self.images)

    @property
    def columns(self) -> list[str]:
        """The true and predicted categories; none if there are more than a page can show."""
        return [self._categories[number] for number in self._shown()]

    @property
    def rows(self) -> list[Row]:
        """One row for each category with images, in the order of their numbers."""
        shown, support, right = self._shown(), self._matrix.support, self._matrix.right
        counts = dict(zip(shown, self._matrix.part(shown), strict=True))
        return [
            Row(self._categories[number], count, _percent(int(right[number]), count), counts.get(number, []))
            for number, count in enumerate(support.tolist())
            if count
        ]

    def _shown(self) -> list[int]:
        numbers = np.flatnonzero(self._matrix.support + self._matrix.answered).tolist()
        return numbers if len(numbers) <= MAX_COLUMNS else []


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
