"""Out-of-fold probabilities of a linear classifier on features: of each image by one that has not seen it.

The classifier is a ridge regression on the categories, in closed form: its sums over the images are computed in one
pass, so memory does not grow with the images, and five folds cost five small matrices. A softmax whose temperature
fits the out-of-fold scores makes probabilities of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from datasets.report.vectors.vector_file import VectorFile

FOLDS = 5
RIDGE = 0.1  # of the mean variance of the features
TEMPERATURES = np.geomspace(1, 64, 25)  # by which scores are multiplied
MAX_FITTED = 20_000  # images to which the temperature is fitted


@dataclass(frozen=True)
class Probe:
    """The classifiers of all folds, each (size + 1)×categories, and the factor of their scores."""

    weights: np.ndarray
    factor: float

    def probabilities(self, features: np.ndarray, folds: np.ndarray) -> np.ndarray:
        """float32 n×categories, of features in the folds with these numbers."""
        return _softmax(self.factor * _scores(self.weights, features, folds))


def folds_of(categories: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """The fold of each image, uint8: random, in equal shares of each category; copies (the same root) share a fold."""
    shuffled = np.random.default_rng(0).permutation(len(categories))
    order = shuffled[np.argsort(categories[shuffled], kind="stable")]
    folds = np.empty(len(categories), np.uint8)
    folds[order] = np.arange(len(order)) % FOLDS
    return folds[roots]


def fit(vectors: VectorFile, categories: np.ndarray, folds: np.ndarray, count: int, tick: Callable[[], None]) -> Probe:
    """Fit the classifiers of `count` categories."""
    size = vectors.size + 1
    products = np.zeros((FOLDS, size, size))
    targets = np.zeros((FOLDS, size, count))
    for first, block in vectors.blocks():
        rows = _with_one(block)
        of_block = slice(first, first + len(block))
        for fold in range(FOLDS):
            chosen = folds[of_block] == fold
            some, labels = rows[chosen], categories[of_block][chosen]
            products[fold] += some.T @ some
            np.add.at(targets[fold].T, labels, some)
        tick()
    whole, wanted = products.sum(axis=0), targets.sum(axis=0)
    penalty = RIDGE * np.trace(whole) / size
    weights = np.stack(
        [
            np.linalg.solve(whole - products[fold] + penalty * np.eye(size), wanted - targets[fold])
            for fold in range(FOLDS)
        ]
    ).astype(np.float32)
    return Probe(weights, _fitted_factor(weights, vectors, categories, folds))


def _fitted_factor(weights: np.ndarray, vectors: VectorFile, categories: np.ndarray, folds: np.ndarray) -> float:
    """The factor with which the out-of-fold probabilities fit the categories best, of blocks all over the images."""
    losses, seen = np.zeros(len(TEMPERATURES)), 0
    for first, block in _some_blocks(vectors):
        of_block = slice(first, first + len(block))
        scores = _scores(weights, block, folds[of_block])
        for number, factor in enumerate(TEMPERATURES):
            right = _softmax(factor * scores)[np.arange(len(block)), categories[of_block]]
            losses[number] -= np.log(np.maximum(right, 1e-12)).sum()
        seen += len(block)
    return float(TEMPERATURES[losses.argmin()])


def _some_blocks(vectors: VectorFile) -> Iterator[tuple[int, np.ndarray]]:
    step = max(1, len(vectors) // MAX_FITTED)
    return (found for number, found in enumerate(vectors.blocks()) if number % step == 0)


def _scores(weights: np.ndarray, features: np.ndarray, folds: np.ndarray) -> np.ndarray:
    rows, scores = _with_one(features), np.empty((len(features), weights.shape[2]), np.float32)
    for fold in range(FOLDS):
        chosen = folds == fold
        scores[chosen] = rows[chosen] @ weights[fold]
    return scores


def _with_one(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features, np.ones((len(features), 1), np.float32)], axis=1)


def _softmax(scores: np.ndarray) -> np.ndarray:
    grown = np.exp(scores - scores.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)
