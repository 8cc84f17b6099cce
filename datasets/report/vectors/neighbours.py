"""The most similar images of each image, by the cosine of their features, found by comparing all with all in blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from datasets.report.vectors.vector_file import BLOCK, VectorFile

NONE = -1


@dataclass(frozen=True)
class Neighbours:
    """For each row its neighbours, the most similar first: their rows (int32, n×k, NONE if there are fewer) and the
    cosines; and the largest cosine with another row of its category (float32, -1 without another)."""

    rows: np.ndarray
    cosines: np.ndarray
    in_category: np.ndarray


def find(
    vectors: VectorFile, categories: np.ndarray, count: int, least: float, tick: Callable[[float], None]
) -> Neighbours:
    """The neighbours of all rows: at most `count` each, with a cosine of at least `least`.

    categories: that of each row, ascending, so that most pairs of blocks have none in common.
    """
    rows = len(vectors)
    found = Neighbours(
        np.full((rows, count), NONE, np.int32),
        np.full((rows, count), least, np.float32),
        np.full(rows, -1, np.float32),
    )
    blocks = -(-rows // BLOCK)
    for first in range(0, rows, BLOCK):
        some = _unit(vectors.read(first, BLOCK))
        for other in range(first, rows, BLOCK):
            others = some if other == first else _unit(vectors.read(other, BLOCK))
            cosines = some @ others.T
            if other == first:
                np.fill_diagonal(cosines, -1)
            _compare(found, cosines, first, other, categories)
            if other != first:
                _compare(found, cosines.T, other, first, categories)
            number, column = first // BLOCK, other // BLOCK
            tick((number * blocks - number * (number - 1) / 2 + column - number + 1) / (blocks * (blocks + 1) / 2))
    return found


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _compare(found: Neighbours, cosines: np.ndarray, first: int, other: int, categories: np.ndarray) -> None:
    """Take in the cosines of the rows from `first` on with those from `other` on."""
    some = slice(first, first + cosines.shape[0])
    own, theirs = categories[some], categories[other : other + cosines.shape[1]]
    if own[0] <= theirs[-1] and theirs[0] <= own[-1]:
        same = np.where(own[:, np.newaxis] == theirs, cosines, np.float32(-1)).max(axis=1)
        np.maximum(found.in_category[some], same, out=found.in_category[some])
    row, column = np.nonzero(cosines > found.cosines[some, -1:])
    if not len(row):
        return
    changed = np.unique(row)
    kept = found.cosines.shape[1]
    rows = np.concatenate([np.repeat(changed, kept), row])
    numbers = np.concatenate([found.rows[first + changed].ravel(), (column + other).astype(np.int32)])
    values = np.concatenate([found.cosines[first + changed].ravel(), cosines[row, column]])
    order = np.lexsort((-values, rows))
    ranked = rows[order]
    rank = np.arange(len(ranked)) - np.searchsorted(ranked, ranked)
    best = order[rank < kept]
    found.rows[first + changed] = numbers[best].reshape(-1, kept)
    found.cosines[first + changed] = values[best].reshape(-1, kept)
