"""Divides images among the splits so that each group stays together, also one that is in several categories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def deal_groups(
    groups: np.ndarray, drawn: Sequence[np.ndarray], sizes: Sequence[tuple[int, int, int]]
) -> list[list[np.ndarray]]:
    """The images of each split, by category: the larger groups first, each to the split that lacks most of its images.

    groups: of each image, -1 for none. drawn: the images of each category in random order. sizes: how many of them are
    for train, val and test; without groups it is exactly that many.
    """
    images = np.concatenate(drawn)
    categories = np.repeat(np.arange(len(drawn)), [len(found) for found in drawn])
    order, starts = _units(groups[images])
    lacking = np.array(sizes, np.float64)
    wanted = np.maximum(lacking.sum(axis=1), 1)
    chosen = np.empty(len(images), np.uint8)
    for unit in np.split(order, starts[1:]):
        of_unit, counts = np.unique(categories[unit], return_counts=True)
        need = (lacking[of_unit] * (counts / wanted[of_unit])[:, np.newaxis]).sum(axis=0)
        split = int(need.argmax())
        lacking[of_unit, split] -= counts
        chosen[unit] = split
    return [[found[chosen[categories == number] == split] for number, found in enumerate(drawn)] for split in range(3)]


def _units(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places of the images ordered by unit, the larger units first, and where each unit starts. A unit is a group
    or a single image."""
    places = np.arange(len(groups))
    _, units, sizes = np.unique(np.where(groups >= 0, groups, -1 - places), return_inverse=True, return_counts=True)
    units = units.reshape(-1)
    first = np.full(len(sizes), len(groups))
    np.minimum.at(first, units, places)
    order = np.lexsort((places, first[units], -sizes[units]))
    return order, np.flatnonzero(np.diff(first[units][order], prepend=-1))
