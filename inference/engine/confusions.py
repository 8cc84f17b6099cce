"""What is taken for what, and how often, of any number of categories. Plain Python, in memory that stays small."""

import numpy as np

MAX_COLUMNS = 1000  # of a matrix; one of more categories would be larger than all it is made from
KEPT_BACK = 1 << 16  # answers that wait to be counted, where there is no matrix


class Confusions:
    """Counts the images of each category that were taken for each.

    Up to 1000 categories they are a matrix; beyond that only what was taken for something else is counted, in 16 bytes
    for each different pair.
    """

    def __init__(self, categories: int):
        self._categories = categories
        self._counts = np.zeros((categories, categories), np.int64) if categories <= MAX_COLUMNS else None
        self._pairs, self._times = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._waiting: list[np.ndarray] = []

    def add(self, truths: np.ndarray, answers: np.ndarray) -> None:
        """A batch: what images are, and what they were taken for."""
        if self._counts is not None:
            np.add.at(self._counts, (truths, answers), 1)
            return
        wrong = truths != answers
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

    def matrix(self) -> list[list[int]] | None:
        """[i][j] counts the images of category i that were taken for j; None above 1000 categories."""
        return None if self._counts is None else self._counts.tolist()

    def most(self, number: int) -> list[tuple[int, int, int]]:
        """(category, what it was taken for, how often) of the errors that were made most often, the most frequent
        first; of equals the one whose categories come first."""
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
