"""Finds images whose files are exact copies of one another, by digest."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice, pairwise

import numpy as np

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.readers.file_summary import Summaries, summary_of, whole_digest
from datasets.imagedb.readers.listing import Listing
from datasets.imagedb.split import Part
from digits_project.common.confined_files import open_raw
from digits_project.common.errors import BadInput
from digits_project.common.escaping import escaped

_MAX_LOGGED = 1000  # groups of copies
_MAX_PATHS = 20  # of one group


@dataclass(frozen=True)
class ExactCopies:
    """The number of images that have an exact copy, of different pictures among them, and of pictures that are in more
    than one category or split. `remarks` are sentences with examples."""

    images: int = 0
    pictures: int = 0
    in_two_categories: int = 0
    in_two_splits: int = 0
    remarks: tuple[str, ...] = ()


def find(listings: Sequence[Listing], tick: Callable[[], None]) -> list[np.ndarray]:
    """For each listing an int32 array: each image's group of copies, numbered over all listings; -1 without a copy.

    Unreadable files have no copy. Only files that can be copies are read completely.
    """
    ends = np.cumsum([len(listing) for listing in listings])
    summaries = [listing.summaries for listing in listings]
    digests = _joined([found.take_digests() for found in summaries])
    is_readable = np.concatenate([found.are_readable() for found in summaries])
    is_whole = np.concatenate([found.are_whole() for found in summaries])
    groups = _equal(digests, is_readable)
    for position in np.flatnonzero((groups >= 0) & ~is_whole).tolist():
        listing, image = _image(listings, ends, position)
        found = _whole_digest(listing, image, tick)
        is_readable[position] = found is not None
        if found is not None:
            digests[position] = np.frombuffer(found, np.uint64)
    groups = _equal(digests, is_readable & (groups >= 0))
    return np.split(groups, ends[:-1])


def _joined(arrays):
    """One array of several; without a copy if there is only one."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def summaries_of(listing: Listing, tick: Callable[[], None]) -> Summaries:
    """The summaries of all images of a listing."""
    summaries = Summaries()
    for image in range(len(listing)):
        tick()
        try:
            with open_raw(os.fsdecode(listing.path(image)), listing.roots) as file:
                summaries.add(summary_of(file.fileno())[1])
        except (OSError, BadInput):  # reading it for the records reports why
            summaries.add(None)
    return summaries


def count(parts: Sequence[Part], groups: Sequence[np.ndarray], log: BuildLog, stay: bool) -> ExactCopies:
    """Count the copies among the images of the parts and list them in the log. `groups[k]` belongs to part k's listing.

    `stay`: the build chose the split of each image, so copies are in one split.
    """
    if not any((of >= 0).any() for of in groups):
        return ExactCopies()
    return count_members(_of_parts(parts, groups), log, stay)


def count_members(members: Members, log: BuildLog, stay: bool) -> ExactCopies:
    """Count copies and list them in the log."""
    if not members.count:
        return ExactCopies()
    found = ExactCopies(
        images=len(members.group),
        pictures=members.count,
        in_two_categories=int(members.vary(members.label).sum()),
        in_two_splits=int(members.vary(members.split).sum()),
    )
    found = replace(found, remarks=tuple(log.shown(remark) for remark in _remarks(found, members, stay)))
    for remark in found.remarks:
        log.note(f"copies: {remark}")
    members.note(log)
    return found


def _remarks(found, members, stay):
    shown = "one picture" if found.pictures == 1 else f"{found.pictures} pictures"
    kept = " Copies of a picture stay in one split." if stay else ""
    yield f"{found.images} images are exact copies of one another: together they show {shown}.{kept}"
    if found.in_two_categories:
        example = members.example(members.label)
        yield (
            f"In more than one category: {found.in_two_categories} of these pictures, such as {example}. A network "
            "can't learn both categories."
        )
    if found.in_two_splits:
        example = members.example(members.split)
        yield (
            f"In more than one split: {found.in_two_splits} of these pictures, such as {example}. The accuracy on "
            "them is higher than on new images."
        )


def as_json(found: ExactCopies) -> dict:
    """The counts and remarks as JSON values; {} if there are no copies."""
    return asdict(found) | {"remarks": list(found.remarks)} if found.images else {}


def _of_parts(parts: Sequence[Part], groups: Sequence[np.ndarray]) -> Members:
    numbers = np.concatenate([of[part.images] for part, of in zip(parts, groups, strict=True)])
    image = np.concatenate([part.images for part in parts])
    split = np.repeat(np.arange(len(parts)), [len(part.images) for part in parts])
    label = np.concatenate([part.labels(part.images) for part in parts])
    return Members.among(numbers, split, label, image, lambda part, of: os.fsdecode(parts[part].listing.path(of)))


@dataclass(frozen=True)
class Members:
    """All images that have a copy among them: groups (from 0), labels, splits, and numbers in their split.

    path: the path of an image by its split and its number there.
    """

    group: np.ndarray
    split: np.ndarray
    label: np.ndarray
    image: np.ndarray
    path: Callable[[int, int], str]

    @classmethod
    def among(
        cls,
        group: np.ndarray,
        split: np.ndarray,
        label: np.ndarray,
        image: np.ndarray,
        path: Callable[[int, int], str],
    ) -> Members:
        """The members among these images; `group` is -1 for those that can't have a copy."""
        sizes = np.bincount(group[group >= 0], minlength=1)
        has_copy = (group >= 0) & (sizes[np.maximum(group, 0)] > 1)
        _, numbered = np.unique(group[has_copy], return_inverse=True)
        return cls(numbered, split[has_copy], label[has_copy], image[has_copy], path)

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self.group.max(initial=-1)) + 1

    def vary(self, values: np.ndarray) -> np.ndarray:
        """For each group, whether its members differ in `values` (one per member)."""
        least, most = np.full(self.count, np.iinfo(np.int64).max), np.full(self.count, -1)
        np.minimum.at(least, self.group, values)
        np.maximum.at(most, self.group, values)
        return least < most

    def example(self, values: np.ndarray) -> str:
        """A text that names two members of one group that differ in `values`."""
        members = np.flatnonzero(self.group == np.argmax(self.vary(values)))
        first = members[0]
        other = members[values[members] != values[first]][0]
        return escaped(f"{self._path(first)} and {self._path(other)}")

    def note(self, log: BuildLog) -> None:
        """Write a line for each group to the log."""
        order = np.argsort(self.group, kind="stable")
        starts = np.searchsorted(self.group[order], np.arange(self.count + 1))
        for start, stop in islice(pairwise(starts), _MAX_LOGGED):
            paths = sorted(self._path(member) for member in order[start:stop])[:_MAX_PATHS]
            more = f" and {stop - start - _MAX_PATHS} more" if stop - start > _MAX_PATHS else ""
            log.note(f"copies: {' = '.join(paths)}{more}")
        if self.count > _MAX_LOGGED:
            log.note(f"copies: … and {self.count - _MAX_LOGGED} more pictures")

    def _path(self, member):
        return self.path(int(self.split[member]), int(self.image[member]))


def _image(listings, ends, position):
    """(listing, number in it) of the image at a position among all images."""
    number = int(np.searchsorted(ends, position, side="right"))
    return listings[number], position - int(ends[number]) + len(listings[number])


def _equal(digests, counted):
    """int32: a group number for each image whose digest occurs more than once among `counted`, -1 for the others."""
    groups = np.full(len(digests), -1, np.int32)
    halves = digests[counted, 0]
    halves.sort()  # in place, because millions of digests take much of a build's memory
    repeated = halves[1:][halves[1:] == halves[:-1]]
    del halves
    if len(repeated):  # otherwise nothing is equal, and numpy.unique would first import numpy.ma
        positions = np.flatnonzero(counted)
        positions = positions[np.isin(digests[positions, 0], repeated)]
        _, inverse, sizes = np.unique(digests[positions], axis=0, return_inverse=True, return_counts=True)
        groups[positions] = np.where(sizes[inverse] > 1, inverse, -1).reshape(-1)
    return groups


def _whole_digest(listing, image, tick):
    """The digest of a whole file; None if it can't be read."""
    tick()
    try:
        with open_raw(os.fsdecode(listing.path(image)), listing.roots) as file:
            return whole_digest(file.fileno(), tick)
    except (OSError, BadInput):  # reading it for the records reports why
        return None
