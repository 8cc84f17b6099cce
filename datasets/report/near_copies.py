"""Finds near copies: the same picture compressed, cropped a little, resized, or made brighter or darker."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from datasets.report.image_measures import SIDE
from datasets.report.vectors.neighbours import Neighbours
from datasets.report.vectors.vector_file import VectorFile

MAX_DISTANCE = 10  # bits by which the perceptual hashes of candidates differ
BANDS = 4  # of 16 bits; candidates by hash have one in common
MAX_IN_BAND = 24  # images of one band that are compared with each other
MIN_CORRELATION = 0.96  # of thumbnails that are aligned
MIN_SIDE = 32  # pixels of a file; smaller images hold too little to tell a copy from another one that looks alike
MIN_CONTRAST = 6.0  # images with less, such as blank ones, all look alike
# Windows of the other image to which one is compared: (share of the side, place of the window from 0 to 1).
WINDOWS = ((1.0, (0.0,)), (0.975, (0.0, 0.5, 1.0)), (0.95, (0.0, 0.5, 1.0)), (0.9, (0.0, 0.5, 1.0)))
_PAIRS = 512  # at a time


def candidates(hashes: np.ndarray, neighbours: Neighbours | None, order: np.ndarray) -> np.ndarray:
    """Pairs of images, int32 m×2, the smaller number first, each once.

    order: the image of each row of the neighbours.
    """
    found = list(_similar_hashes(hashes))
    if neighbours is not None:
        row, _ = np.nonzero(neighbours.rows >= 0)
        pairs = np.stack([order[row], order[neighbours.rows[neighbours.rows >= 0]]], axis=1)
        found.append(np.sort(pairs, axis=1).astype(np.int32))
    joined = np.concatenate(found) if found else np.empty((0, 2), np.int32)
    return np.unique(joined, axis=0)


def _similar_hashes(hashes: np.ndarray) -> Iterator[np.ndarray]:
    for band in range(BANDS):
        values = ((hashes >> np.uint64(16 * band)) & np.uint64(0xFFFF)).astype(np.uint16)
        order = np.argsort(values, kind="stable").astype(np.int32)
        ordered = values[order]
        for step in range(1, MAX_IN_BAND):
            alike = np.flatnonzero(ordered[step:] == ordered[:-step])
            if not len(alike):
                break
            pairs = np.stack([order[alike], order[alike + step]], axis=1)
            differing = hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]
            yield np.sort(pairs[_bits(differing) <= MAX_DISTANCE], axis=1)


def _bits(values: np.ndarray) -> np.ndarray:
    """How many bits of each value are 1."""
    return np.unpackbits(np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)


def confirmed(pairs: np.ndarray, thumbnails: VectorFile, tick: Callable[[], None]) -> np.ndarray:
    """For each pair the largest correlation of its thumbnails, one of them whole, the other whole or a window of it."""
    found = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), _PAIRS):
        some = pairs[start : start + _PAIRS]
        first, second = (thumbnails.rows_of(some[:, side]).astype(np.float32) for side in (0, 1))
        found[start : start + _PAIRS] = aligned_correlation(first, second)
        tick()
    return found


def aligned_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The largest correlation of thumbnails, n×SIDE², over all windows of one of the two."""
    first, second = (values.reshape(-1, SIDE, SIDE) for values in (first, second))
    best = np.full(len(first), -1, np.float32)
    for share, places in WINDOWS:
        for vertical in places:
            for horizontal in places:
                rows, columns = _window(share, vertical), _window(share, horizontal)
                for whole, other in ((first, second), (second, first)) if share < 1 else ((first, second),):
                    cut = np.einsum("ij,njk,lk->nil", rows, other, columns, optimize=True)
                    np.maximum(best, _correlation(whole, cut), out=best)
    return best


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    first, second = (values.reshape(len(values), -1) for values in (first, second))
    first = first - first.mean(axis=1, keepdims=True)
    second = second - second.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(axis=1) / np.maximum(norms, 1e-6)


def _window(share: float, place: float) -> np.ndarray:
    """The matrix that scales a window of SIDE × share pixels to SIDE pixels, by linear interpolation."""
    at = (np.arange(SIDE) + 0.5) * share - 0.5 + place * (1 - share) * SIDE
    low = np.clip(np.floor(at).astype(int), 0, SIDE - 1)
    high = np.clip(low + 1, 0, SIDE - 1)
    part = np.clip(at - low, 0, 1).astype(np.float32)
    matrix = np.zeros((SIDE, SIDE), np.float32)
    matrix[np.arange(SIDE), low] += 1 - part
    matrix[np.arange(SIDE), high] += part
    return matrix
