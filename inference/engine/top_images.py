"""Finds the images with the highest scores of each category."""

import numpy as np


class BestImages:
    """Keeps the `most` images with the highest scores of each category. Of equal scores the earlier image comes
    first."""

    def __init__(self, most: int, categories: int):
        self._most = most
        self._names: list[str] = []
        self._scores = np.empty((0, categories), np.float32)  # one column per category, best first
        self._numbers = np.empty((0, categories), np.int64)  # the numbers of these images

    def add(self, names: list[str], scores: np.ndarray) -> None:
        """Add a batch of images and their scores, N×categories."""
        numbers = np.arange(len(self._names), len(self._names) + len(names))
        self._names += names
        scores = np.concatenate([self._scores, scores])
        numbers = np.concatenate([self._numbers, np.repeat(numbers[:, None], scores.shape[1], axis=1)])
        best = np.argsort(-scores, axis=0, kind="stable")[: self._most]
        self._scores = np.take_along_axis(scores, best, axis=0)
        self._numbers = np.take_along_axis(numbers, best, axis=0)

    def of(self, category: int) -> list[tuple[str, float]]:
        """[(name, score)] of the best images of a category, best first."""
        numbers, scores = self._numbers[:, category], self._scores[:, category]
        return [(self._names[number], float(score)) for number, score in zip(numbers, scores, strict=True)]
