"""The files of a map, and the search in them: POINTS of all images, and their vectors, in the order of the images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIZE = 64  # numbers of a vector, float16
POINTS = np.dtype(
    [
        ("x", "<f4"),  # -1 to 1
        ("y", "<f4"),
        ("category", "<i4"),  # its number; 0 in a dataset without categories
        ("likelier", "<i4"),  # the category that a classifier gave which had not seen the image; -1 without one
        ("probability", "<f4"),  # of that category
    ]
)
_POINTS, _VECTORS = "map.npy", "map_vectors.npy"
_BLOCK = 4096  # vectors at a time


@dataclass(frozen=True)
class Similar:
    """Images that resemble another one, the most similar first: their numbers, and the cosines of the vectors."""

    images: np.ndarray
    cosines: np.ndarray


def unit(vectors: np.ndarray) -> np.ndarray:
    """The first SIZE numbers of vectors, float32, at length 1."""
    short = vectors[:, :SIZE].astype(np.float32)
    return short / np.maximum(np.linalg.norm(short, axis=1, keepdims=True), 1e-12)


def write(folder: Path, points: np.ndarray, vectors: Iterable[np.ndarray], size: int) -> None:
    """Write the POINTS of all images, and blocks of their vectors of `size` numbers."""
    np.save(folder / _POINTS, points)
    with (folder / _VECTORS).open("wb") as file:
        header = {"descr": "<f2", "fortran_order": False, "shape": (len(points), size)}
        np.lib.format.write_array_header_1_0(file, header)
        for block in vectors:
            file.write(block.astype("<f2").tobytes())


def read_points(folder: Path) -> np.ndarray:
    """The POINTS of all images, mapped into memory. Raises OSError or one of NOT_ARRAYS if they can't be read."""
    return np.load(folder / _POINTS, mmap_mode="r", allow_pickle=False)


def find_similar(folder: Path, image: int, count: int) -> Similar:
    """The images that resemble one the most, at most `count`, by all vectors in blocks. Raises OSError or NOT_ARRAYS if
    they can't be read, IndexError if there is no such image."""
    vectors = np.load(folder / _VECTORS, mmap_mode="r", allow_pickle=False)
    wanted = vectors[image].astype(np.float32)
    cosines = np.empty(len(vectors), np.float32)
    for first, block in _blocks(vectors):
        cosines[first : first + len(block)] = block @ wanted
    cosines[image] = -np.inf
    count = min(count, len(cosines) - 1)
    found = np.argpartition(-cosines, count - 1)[:count] if count else np.empty(0, np.int64)
    order = np.lexsort((found, -cosines[found]))
    return Similar(found[order], np.clip(cosines[found[order]], -1, 1))


def _blocks(vectors: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for first in range(0, len(vectors), _BLOCK):
        yield first, vectors[first : first + _BLOCK].astype(np.float32)
