"""Reduces features to their principal components, so that comparing all images with all takes less time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from datasets.report.vectors.vector_file import VectorFile

_FEW = 512  # images


@dataclass(frozen=True)
class Projection:
    """The mean of the features, and the directions in which they vary most, size×dimensions, the widest first."""

    mean: np.ndarray
    directions: np.ndarray

    def of(self, features: np.ndarray) -> np.ndarray:
        return (features - self.mean) @ self.directions


def fit(features: VectorFile, dimensions: int, tick: Callable[[], None]) -> Projection:
    """The principal components of the features, at most so many."""
    if len(features) <= _FEW:
        return _of_few(features.read(0, _FEW).astype(np.float32), dimensions)
    total = np.zeros(features.size)
    products = np.zeros((features.size, features.size), np.float32)
    shift = features.read(0, 1)[0].astype(np.float32)  # so that sums in float32 stay exact enough
    for _, block in features.blocks():
        block -= shift
        total += block.sum(axis=0, dtype=np.float64)
        products += block.T @ block
        tick()
    mean = total / len(features)
    covariance = products / len(features) - np.outer(mean, mean).astype(np.float32)
    _, vectors = np.linalg.eigh(covariance)
    tick()
    kept = min(dimensions, features.size)
    return Projection((mean + shift).astype(np.float32), np.ascontiguousarray(vectors[:, ::-1][:, :kept], np.float32))


def _of_few(features: np.ndarray, dimensions: int) -> Projection:
    """The same for images that fit into memory, in a hundredth of the time."""
    mean = features.mean(axis=0)
    directions = np.linalg.svd(features - mean, full_matrices=False)[2]
    return Projection(mean, np.ascontiguousarray(directions[:dimensions].T))


def project(features: VectorFile, projection: Projection, rows: np.ndarray, into: VectorFile) -> None:
    """Write the projected features of image i as row rows[i] of `into`."""
    for first, block in features.blocks():
        projected = projection.of(block).astype(np.float16)
        for number, row in enumerate(rows[first : first + len(block)].tolist()):
            into.write(row, projected[number])
