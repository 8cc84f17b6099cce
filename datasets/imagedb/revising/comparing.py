"""Compares two revisions of one dataset, image by image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from datasets.imagedb.revising.changes import ImageName, labels_of
from datasets.imagedb.revising.record_of_changes import origins_of


@dataclass(frozen=True)
class Side:
    """One of the two datasets: its folder, its splits, and the names of its categories."""

    directory: Path
    splits: Sequence[str]
    categories: Sequence[str]


@dataclass(frozen=True)
class _Records:
    """The records of a split of one side: labels, and the numbers that they have in the first dataset."""

    labels: np.ndarray
    origins: np.ndarray


def compare(before: Side, after: Side) -> dict[str, Any]:
    """The images that only one of the datasets has, those with different categories, and the numbers of images, as JSON
    values. Raises DamagedRecords. Images have the names of the dataset in which they were found: of `before`, and those
    that only `after` has, of `after`."""
    one, other = _read(before), _read(after)
    nothing = _Records(np.empty(0, np.int64), np.empty(0, np.int32))
    found: dict[str, list[dict[str, Any]]] = {"excluded": [], "added": [], "relabelled": []}
    for split in dict.fromkeys((*before.splits, *after.splits)):
        here, there = one.get(split, nothing), other.get(split, nothing)
        is_gone = ~np.isin(here.origins, there.origins)
        is_new = ~np.isin(there.origins, here.origins)
        found["excluded"] += _named(before, split, np.flatnonzero(is_gone), here.labels)
        found["added"] += _named(after, split, np.flatnonzero(is_new), there.labels)
        kept, still = np.flatnonzero(~is_gone), np.flatnonzero(~is_new)  # the same images, in the same order
        differs = here.labels[kept] != there.labels[still]
        images = _named(before, split, kept[differs], here.labels)
        labels = there.labels[still[differs]].tolist()
        for image, label in zip(images, labels, strict=True):
            found["relabelled"].append(
                {"image": image["image"], "path": image["path"], "from": image["category"]}
                | {"to": after.categories[label]}
            )
    return found | {"categories": _counted(before, after, one, other)}


def _read(side: Side) -> dict[str, _Records]:
    labels = labels_of(side.directory, side.splits)
    return {split: _Records(of, origins_of(side.directory, split, len(of))) for split, of in labels.items()}


def _named(side: Side, split: str, records: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    paths = _paths(side.directory / f"{split}.txt", records)
    return [
        {"image": str(ImageName(split, record)), "path": path, "category": side.categories[labels[record]]}
        for record, path in zip(records.tolist(), paths, strict=True)
    ]


def _paths(listing: Path, records: np.ndarray) -> Iterator[str]:
    """The paths of these records, which are in order; "" without a list of them."""
    if not len(records) or not listing.exists():
        yield from [""] * len(records)
        return
    wanted = np.zeros(int(records[-1]) + 1, bool)
    wanted[records] = True
    with listing.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        yield from (line.rpartition(" ")[0] for line in compress(lines, wanted.tolist()))


def _counted(
    before: Side, after: Side, one: Mapping[str, _Records], other: Mapping[str, _Records]
) -> list[dict[str, Any]]:
    names = before.categories
    counts = [
        {split: np.bincount(of.labels, minlength=len(names)).tolist() for split, of in side.items()}
        for side in (one, other)
    ]
    return [
        {"category": name}
        | {
            when: {split: of[number] for split, of in side.items()}
            for when, side in zip(("before", "after"), counts, strict=True)
        }
        for number, name in enumerate(names)
    ]
