"""Groups of images that must lie in one split: exact copies, and images of the same patient or video, which their paths
or a column of the lists name."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.group_names import AUTO, COLUMN, OFF, compiled
from datasets.imagedb.readers.listing import LabelledListing, Listing
from datasets.imagedb.split import Part
from digits_project.common.escaping import escaped


def join_groups(
    listings: Sequence[Listing], copies: Sequence[np.ndarray], split_groups: str, tick: Callable[[], None]
) -> list[np.ndarray]:
    """For each listing an int32 array: the group that each image must share a split with, -1 for none.

    copies: the group of exact copies of each image, as copies.find() returns them.
    """
    if split_groups == AUTO:
        return list(copies)
    if split_groups == OFF:
        return [np.full(len(groups), -1, np.int32) for groups in copies]
    named: dict[str, int] = {}
    joined = JoinedSets(int(max((groups.max(initial=-1) for groups in copies), default=-1)) + 1)
    found = []
    for listing, groups in zip(listings, copies, strict=True):
        of_listing = groups.astype(np.int32)
        for image, name in enumerate(_names(listing, split_groups)):
            tick()
            if name:
                group = named.setdefault(name, -1)
                if group < 0:
                    group = named[name] = joined.add()
                if of_listing[image] >= 0:
                    joined.join(int(of_listing[image]), group)
                of_listing[image] = group
        found.append(of_listing)
    roots = np.append(joined.roots(), np.int32(-1))  # the last is that of no group
    return [roots[groups] for groups in found]


def _names(listing: Listing, split_groups: str) -> Iterator[str]:
    """The name of each image's group, "" for none."""
    if split_groups == COLUMN:
        yield from cast(LabelledListing, listing).group_names()
        return
    pattern = compiled(split_groups)
    for path in listing.relative_paths(0, len(listing)):
        match = pattern.fullmatch(os.fsdecode(path))
        yield match[1] if match else ""


def keep_apart(parts: Sequence[Part], together: Sequence[np.ndarray], log: BuildLog) -> list[Part]:
    """The parts without the images whose group is in an earlier part. `together[k]` belongs to part k's listing.

    A part that would be empty stays as it is: somebody chose the same images for two splits.
    """
    kept, seen = [], np.empty(0, np.int32)
    for part, groups in zip(parts, together, strict=True):
        straddles = np.isin(groups[part.images], seen)
        if straddles.all():
            log.note(f"copies: all images of {part.name} have a copy or their group in another split, so they stay")
        elif straddles.any():
            part = _without(part, straddles, log)
        seen = np.union1d(seen, _groups_of(part, groups))
        kept.append(part)
    return kept


def _without(part: Part, straddles: np.ndarray, log: BuildLog) -> Part:
    count = int(straddles.sum())
    example = escaped(log.shown(os.fsdecode(part.listing.path(part.images[straddles][0]))))
    log.warn(
        f"Left out of {part.name}: {count} image{'s' * (count != 1)} whose copy or group is in another split, such as "
        f"{example}. With split_groups=off they stay."
    )
    for image in part.images[straddles].tolist():
        log.note(
            f"left out of {part.name}, because its copy or group is in another split: "
            f"{os.fsdecode(part.listing.path(image))}"
        )
    return replace(part, images=part.images[~straddles])


def _groups_of(part: Part, groups: np.ndarray) -> np.ndarray:
    found = np.unique(groups[part.images])
    return found[found >= 0]


class JoinedSets:
    """Sets of numbers that grow together (union-find)."""

    def __init__(self, count: int) -> None:
        self._parents = array("i", range(count))

    def add(self) -> int:
        """A new number, alone in its set."""
        self._parents.append(len(self._parents))
        return self._parents[-1]

    def join(self, one: int, other: int) -> None:
        """Make one set of the sets of these two numbers."""
        first, second = sorted((self._root(one), self._root(other)))
        self._parents[second] = first

    def roots(self) -> np.ndarray:
        """The smallest number of the set of each number, int32."""
        return np.fromiter(map(self._root, range(len(self._parents))), np.int32, len(self._parents))

    def _root(self, number: int) -> int:
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number
