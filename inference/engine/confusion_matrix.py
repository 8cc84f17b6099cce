"""Counts which categories are predicted for which, in little memory for any number of categories. Plain Python."""

from collections.abc import Sequence

import numpy as np

MAX_COLUMNS = 1000  # of a whole matrix; with more categories it would be larger than the data behind it
KEPT_BACK = 1 << 16  # predictions that wait to be counted, if there is no whole matrix


class ConfusionMatrix:
    """Counts the images of each true category that got each predicted category.

    support, answered, right: for each category the number of images that have it, that got it, and both.

    Up to 1000 categories the counts are a whole matrix. Beyond that only errors are counted, in 16 bytes for each
    different pair of categories.
    """

    def __init__(self, categories: int):
        self.support, self.answered, self.right = (np.zeros(categories, np.int64) for _ in range(3))
        self._categories = categories
        self._counts = np.zeros((categories, categories), np.int64) if categories <= MAX_COLUMNS else None
        self._pairs, self._times = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._waiting: list[np.ndarray] = []

    def add(self, truths: np.ndarray, answers: np.ndarray) -> None:
        """Add a batch: the true and the predicted category of each image."""
        wrong = truths != answers
        for counts, found in ((self.support, truths), (self.answered, answers), (self.right, answers[~wrong])):
            np.add.at(counts, found, 1)
        if self._counts is not None:
            np.add.at(self._counts, (truths, answers), 1)
            return
        self._waiting.append(truths[wrong].astype(np.int64) * self._categories + answers[wrong])
        if sum(map(len, self._waiting)) > max(KEPT_BACK, len(self._pairs)):
            self._count_waiting()

    def _count_waiting(self) -> None:
        pairs = np.concatenate([self._pairs, *self._waiting])
        times = np.ones(len(pairs))
        times[: len(self._times)] = self._times
        self._pairs, where = np.unique(pairs, return_inverse=True)
        self._times = np.bincount(where, times, minlength=len(self._pairs)).astype(np.int64)
        self._waiting = []

    @property
    def images(self) -> int:
        """The number of images that were added."""
        return int(self.support.sum())

    def whole(self) -> list[list[int]] | None:
        """[i][j] is the number of images of category i with prediction j; None above 1000 categories."""
        return None if self._counts is None else self._counts.tolist()

    def part(self, categories: Sequence[int]) -> list[list[int]]:
        """The rows and columns of these categories, with a whole matrix or without."""
        if self._counts is not None:
            return self._counts[np.ix_(categories, categories)].tolist()
        self._count_waiting()
        times = dict(zip(self._pairs.tolist(), self._times.tolist(), strict=True))
        times |= {number * (self._categories + 1): count for number, count in enumerate(self.right.tolist())}
        return [[times.get(truth * self._categories + answer, 0) for answer in categories] for truth in categories]

    def most(self, number: int) -> list[tuple[int, int, int]]:
        """The most frequent errors, (category, prediction, count), the most frequent first. Among equals the lowest
        category comes first."""
        if self._counts is None:
            self._count_waiting()
            pairs, times = self._pairs, self._times
        else:
            wrong = self._counts * ~np.eye(self._categories, dtype=bool)
            pairs = np.flatnonzero(wrong)
            times = wrong.ravel()[pairs]
        first = np.argsort(-times, kind="stable")[:number]
        return [
            (*divmod(pair, self._categories), count)
            for pair, count in zip(pairs[first].tolist(), times[first].tolist(), strict=True)
        ]
