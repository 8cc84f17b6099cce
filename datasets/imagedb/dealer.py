"""Divides the images of a category among the splits, keeping exact copies together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Dealer:
    """Divides the images of each category among train, val and test.

    `groups[image]` is the image's group of copies, -1 for none; `drawn` are the images of each category. A group of
    copies in one category goes to the split in which the middle of the group falls. Copies in several categories go to
    train, because in val and test an image with two correct labels would distort the accuracy.
    """

    def __init__(self, groups: np.ndarray, drawn: Sequence[np.ndarray]):
        self._groups = groups
        numbers = [found[found >= 0] for found in (groups[images] for images in drawn)]
        self.has_copies, self._in_several = False, np.empty(0, np.int32)
        if any(map(len, numbers)):
            different = [np.unique(found) for found in numbers]
            found, categories = np.unique(np.concatenate(different), return_counts=True)
            self._in_several = found[categories > 1]
            self.has_copies = sum(map(len, numbers)) > len(found)

    def shares(self, images: np.ndarray, sizes: tuple[int, int, int]) -> list[np.ndarray]:
        """The images for train, val and test, in random order: about `sizes` images, exactly that many without
        copies."""
        groups = self._groups[images]
        if not (groups >= 0).any():
            return np.split(images, np.cumsum(sizes[:-1]))
        is_pinned = np.isin(groups, self._in_several)
        rest, units = _side_by_side(images[~is_pinned], groups[~is_pinned])
        cuts = _cuts(len(rest), int(is_pinned.sum()), sizes)
        starts, counts = np.unique(units, return_index=True, return_counts=True)[1:]
        part_of_unit = np.searchsorted(cuts, starts + counts / 2, side="right")
        if not is_pinned.any():
            part_of_unit[0] = 0  # train is never empty
        part = np.repeat(part_of_unit, counts)
        return [np.concatenate([images[is_pinned], rest[part == 0]]), rest[part == 1], rest[part == 2]]


def _side_by_side(images, groups):
    """The images reordered so that copies are adjacent, at the place of the first copy, and the unit number of each
    image. A unit is a group of copies or a single image."""
    places = np.arange(len(images))
    keys = np.where(groups >= 0, groups, -1 - places)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    first_of = first[inverse.reshape(-1)]
    order = np.argsort(first_of, kind="stable")
    return images[order], first_of[order]


def _cuts(count, pinned, sizes):
    """The ends of train and of val among `count` images, if `pinned` further images are in train already."""
    train, val, test = sizes
    train = max(0, train - pinned)
    if train + val + test > count:  # train has more than its share; val and test divide the rest
        val = round((count - train) * val / (val + test))
    return np.array([train, train + val])
