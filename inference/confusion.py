"""How often images of each category were taken for which: what a list with ground truths tells about a network."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_COLUMNS = 50  # of a matrix that people look at
TOP = 5


@dataclass(frozen=True)
class Row:
    """The images of one category: how many of them were taken for it, in percent, and for what they were taken."""

    category: str
    images: int
    accuracy: float
    counts: list[int]  # one a column


class Confusion:
    """Collects answers to images whose category is known; a number that is no category's is ignored."""

    def __init__(self, categories: Sequence[str]):
        self._categories = categories
        self._pairs: Counter[tuple[int, int]] = Counter()  # (what it is, what it was taken for)
        self._among_best = 0
        self.images = 0

    def add(self, truths: Sequence[int | None], scores: np.ndarray) -> None:
        """A batch of images, their categories' numbers and their scores, N×categories."""
        for truth, best in zip(truths, np.argsort(-scores, axis=1, kind="stable")[:, :TOP].tolist(), strict=True):
            if truth is not None and 0 <= truth < len(self._categories):
                self._pairs[truth, best[0]] += 1
                self._among_best += truth in best
                self.images += 1

    @property
    def accuracy(self) -> float:
        """Of all images, those taken for what they are, in percent."""
        return _percent(sum(count for (truth, answer), count in self._pairs.items() if truth == answer), self.images)

    @property
    def accuracy_of_five(self) -> float:
        """Those whose category is among the five best, in percent."""
        return _percent(self._among_best, self.images)

    @property
    def columns(self) -> list[str]:
        """The categories that occur; none if they are more than a page has room for."""
        return [self._categories[number] for number in self._shown()]

    @property
    def rows(self) -> list[Row]:
        """Every category that has images, in the order of their numbers."""
        images: Counter[int] = Counter()
        for (truth, _), count in self._pairs.items():
            images[truth] += count
        return [self._row(truth, images[truth]) for truth in sorted(images)]

    def _row(self, truth: int, images: int) -> Row:
        counts = [self._pairs[truth, answer] for answer in self._shown()]
        return Row(self._categories[truth], images, _percent(self._pairs[truth, truth], images), counts)

    def _shown(self) -> list[int]:
        numbers = sorted({number for pair in self._pairs for number in pair})
        return numbers if len(numbers) <= MAX_COLUMNS else []


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
