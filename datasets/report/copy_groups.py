"""Groups of images that show the same picture, with what is wrong about each group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CopyGroup:
    """Images that are copies of one another, by number. `is_exact`: all have the same pixels.

    is_conflict: they are in more than one category. is_leak: they are in more than one split.
    """

    images: tuple[int, ...]
    is_exact: bool
    is_conflict: bool
    is_leak: bool


def exact_groups(digests: np.ndarray) -> np.ndarray:
    """For each image the first image with the same digest, int32; its own number without a copy."""
    halves = np.ascontiguousarray(digests).view("<u8").reshape(-1, 2)
    _, first, inverse = np.unique(halves, axis=0, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)].astype(np.int32)


def group_copies(
    digests: np.ndarray, near: np.ndarray, categories: np.ndarray, splits: np.ndarray
) -> tuple[list[CopyGroup], np.ndarray]:
    """All groups, leaks and conflicts first, then the larger; and for each image the first one of its group, int32.

    near: pairs of images that are near copies.
    """
    exact = exact_groups(digests)
    root = _joined(exact, near)
    sizes = np.bincount(root, minlength=len(root))
    members = np.flatnonzero(sizes[root] > 1)
    members = members[np.argsort(root[members], kind="stable")]
    starts = np.flatnonzero(np.diff(root[members], prepend=-1))
    groups = [_group(some, exact, categories, splits) for some in np.split(members, starts[1:]) if len(some)]
    groups.sort(key=lambda group: (not group.is_leak, not group.is_conflict, -len(group.images), group.images))
    return groups, root


def _group(images: np.ndarray, exact: np.ndarray, categories: np.ndarray, splits: np.ndarray) -> CopyGroup:
    return CopyGroup(
        tuple(images.tolist()),
        bool((exact[images] == exact[images[0]]).all()),
        bool((categories[images] != categories[images[0]]).any()),
        bool((splits[images] != splits[images[0]]).any()),
    )


def _joined(exact: np.ndarray, near: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
    """The smallest number of each image's group."""
    parent = exact.tolist()

    def root(image: int) -> int:
        while parent[image] != image:
            parent[image] = parent[parent[image]]
            image = parent[image]
        return image

    for one, other in np.asarray(near).tolist():
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return np.array([root(image) for image in range(len(parent))], np.int32)
