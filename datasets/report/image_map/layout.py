"""Places images in a plane so that similar ones lie together: t-SNE of a sample, and the others beside those.

t-SNE (van der Maaten and Hinton 2008) of all images would need their distances to one another. So at most SAMPLE images
are laid out, and each other one lies at the weighted mean of the most similar of those, as in openTSNE (Poličar,
Stražar and Zupan 2021). The principal components are the start, and the step is the number of images through the
exaggeration (Kobak and Berens 2019), so the map is the same each time and shows the large groups where they belong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

SAMPLE = 2000  # images that are laid out; a step compares all of them with all
PERPLEXITY = 20  # how many neighbours of an image count
STEPS, EARLY = 200, 80  # of the layout; the first ones draw neighbours together more than they repel the others
EXAGGERATION = 12.0  # of the attraction in the first steps
NEAREST, SHARPNESS = 5, 30.0  # images beside which another one is placed; its weights are exp(SHARPNESS × cosine)
# Rows of a table of distances that are computed at once: few enough to stay in the processor's cache, and for BLAS to
# take one thread, because waking others for a product so narrow takes several times as long.
_ROWS = 32
_MIN_SPREAD = 1e-12

Tick = Callable[[float], None]
# (number of the first row, unit vectors, float32) of all images, one block after the other.
Blocks = Callable[[], Iterator[tuple[int, np.ndarray]]]


def sample_of(count: int) -> np.ndarray:
    """The numbers of the rows that are laid out: all, or SAMPLE of them at equal distances."""
    return np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64))


def lay_out(sample: np.ndarray, numbers: np.ndarray, count: int, blocks: Blocks, tick: Tick) -> np.ndarray:
    """The places of `count` images, float32 count×2, from -1 to 1 around their middle.

    sample: unit vectors of the rows `numbers`. blocks: those of all rows. `tick(fraction)` can raise to stop.
    """
    laid = _tsne(sample, tick)
    places = np.empty((count, 2), np.float32)
    for first, block in blocks():
        places[first : first + len(block)] = _beside(block, sample, laid)
        tick(1.0)
    places[numbers] = laid
    places -= (places.min(axis=0) + places.max(axis=0)) / 2
    return places / max(float(np.abs(places).max()), _MIN_SPREAD)


def _beside(vectors: np.ndarray, sample: np.ndarray, laid: np.ndarray) -> np.ndarray:
    """For each vector the mean of the places of its most similar images of the sample."""
    cosines = vectors @ sample.T
    count = min(NEAREST, len(sample))
    nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    weights = np.take_along_axis(cosines, nearest, axis=1)
    weights = np.exp(SHARPNESS * (weights - weights.max(axis=1, keepdims=True)))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("nk,nkd->nd", weights, laid[nearest])


def _tsne(vectors: np.ndarray, tick: Tick) -> np.ndarray:
    """The places of a sample, float32 n×2. `vectors` are unit vectors of principal components, the widest first."""
    count = len(vectors)
    start = vectors[:, :2] if vectors.shape[1] > 1 else np.repeat(vectors, 2, axis=1)
    spread = float(start[:, 0].std())
    if count < 4 or spread < _MIN_SPREAD:
        return start.astype(np.float32)
    pairs = _Affinities(vectors)
    places = (start / spread * 1e-4).astype(np.float32)
    moved, gains = np.zeros_like(places), np.ones_like(places)
    rate = max(count / EXAGGERATION, 10.0)
    for step in range(STEPS):
        early = step < EARLY
        gradient = (EXAGGERATION if early else 1.0) * pairs.attraction(places) - _repulsion(places)
        turned = gradient * moved <= 0
        gains = np.maximum(np.where(turned, gains * np.float32(0.8), gains + np.float32(0.2)), np.float32(0.01))
        moved = (0.5 if early else 0.8) * moved + np.float32(4 * rate) * gains * gradient
        places = places + moved
        places -= places.mean(axis=0)
        tick(step / STEPS)
    return places


class _Affinities:
    """How much each image of a sample attracts each other one: pairs of neighbours, with shares that add up to 1."""

    def __init__(self, vectors: np.ndarray) -> None:
        count = len(vectors)
        kept = min(3 * PERPLEXITY, count - 1)
        numbers, distances = _nearest(vectors, kept)
        shares = _shares(distances, min(float(PERPLEXITY), kept / 3))
        own = np.repeat(np.arange(count), kept)
        # The share of a pair is the mean of both directions, so each direction becomes a pair in both orders.
        rows = np.concatenate([own, numbers.reshape(-1)])
        columns = np.concatenate([numbers.reshape(-1), own])
        values = np.concatenate([shares.reshape(-1)] * 2) / (2 * count)
        pairs, places = np.unique(rows * count + columns, return_inverse=True)
        self._rows, self._columns = np.divmod(pairs, count)
        self._values = np.bincount(places, values).astype(np.float32)
        self._starts = np.searchsorted(self._rows, np.arange(count))

    def attraction(self, places: np.ndarray) -> np.ndarray:
        """The pull on each image, float32 n×2."""
        towards = places.take(self._columns, axis=0) - places.take(self._rows, axis=0)
        weights = self._values / (1 + (towards * towards).sum(axis=1))
        return np.add.reduceat(towards * weights[:, np.newaxis], self._starts, axis=0)


def _nearest(vectors: np.ndarray, kept: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the nearest vectors of each, and their distances (1 - cosine)."""
    numbers = np.empty((len(vectors), kept), np.int64)
    distances = np.empty((len(vectors), kept), np.float32)
    for first in range(0, len(vectors), _ROWS):
        some = 1 - vectors[first : first + _ROWS] @ vectors.T
        some[np.arange(len(some)), first + np.arange(len(some))] = np.inf
        numbers[first : first + _ROWS] = np.argpartition(some, kept - 1, axis=1)[:, :kept]
        distances[first : first + _ROWS] = np.take_along_axis(some, numbers[first : first + _ROWS], axis=1)
    return numbers, distances


def _shares(distances: np.ndarray, perplexity: float) -> np.ndarray:
    """Shares of the neighbours of each image, which add up to 1: Gaussian, as wide as gives them this perplexity."""
    further = (distances - distances.min(axis=1, keepdims=True)).astype(np.float64)
    low, high = np.full((len(distances), 1), -20.0), np.full((len(distances), 1), 20.0)  # logarithms of the precision
    for _ in range(40):
        middle = (low + high) / 2
        shares = np.exp(-further * np.exp(middle))
        shares /= shares.sum(axis=1, keepdims=True)
        entropy = -(shares * np.log(np.maximum(shares, 1e-30))).sum(axis=1, keepdims=True)
        is_wide = entropy > np.log(perplexity)
        low, high = np.where(is_wide, middle, low), np.where(is_wide, high, middle)
    return shares


def _repulsion(places: np.ndarray) -> np.ndarray:
    """The push that each image has to be moved against, float32 n×2: towards all others, to be subtracted."""
    count = len(places)
    squares = (places * places).sum(axis=1)
    ones = np.ones(count, np.float32)
    right = np.stack([-2 * places[:, 0], -2 * places[:, 1], squares, ones])
    left = np.stack([places[:, 0], places[:, 1], ones, squares + 1], axis=1)
    with_one = np.concatenate([places, ones[:, np.newaxis]], axis=1)
    total, push = -float(count), np.empty_like(places)  # without each image's closeness to itself, which is 1
    for first in range(0, count, _ROWS):
        close = left[first : first + _ROWS] @ right  # 1 + the squared distances
        np.maximum(close, 1, out=close)
        np.reciprocal(close, out=close)
        total += float(close.sum(dtype=np.float64))
        np.multiply(close, close, out=close)
        sums = close @ with_one
        push[first : first + _ROWS] = sums[:, :2] - sums[:, 2:] * places[first : first + _ROWS]
    return push / np.float32(max(total, _MIN_SPREAD))
