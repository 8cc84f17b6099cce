"""The changes that make a revision of a dataset: images that are left out, and images that get another category."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.imagedb.store import record_blocks
from datasets.imagedb.store.records import RecordReader
from digits_project.common.confined_files import shown
from digits_project.common.errors import BadInput

EXCLUDE, RELABEL = "exclude", "relabel"
_SHOWN = 3  # wrong names in a message
_TRAIN = "train"


class ImageName(NamedTuple):
    """An image of a dataset: its split, and the number of its record there. Written as `train/17`."""

    split: str
    record: int

    def __str__(self) -> str:
        return f"{self.split}/{self.record}"


class WrongChange(BadInput):
    """Changes that can't be made; `field` is exclude or relabel."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True)
class Changes:
    """The names of the images that are left out, and the new category of others: {name: name of the category}."""

    exclude: Sequence[str] = ()
    relabel: Mapping[str, str] | None = None

    def as_json(self) -> dict:
        return {EXCLUDE: list(self.exclude), RELABEL: dict(self.relabel or {})}


@dataclass(frozen=True)
class RevisedSplit:
    """A split before and after the changes, by the number of the record before: labels, and whether it is kept."""

    name: str
    before: np.ndarray
    after: np.ndarray
    is_kept: np.ndarray

    @property
    def excluded(self) -> np.ndarray:
        """The numbers of the records that are left out."""
        return np.flatnonzero(~self.is_kept)

    @property
    def relabelled(self) -> np.ndarray:
        """The numbers of the records that get another label."""
        return np.flatnonzero(self.before != self.after)

    @property
    def is_changed(self) -> bool:
        return not self.is_kept.all() or bool((self.before != self.after).any())

    @property
    def entries(self) -> int:
        """How many records are left."""
        return int(self.is_kept.sum())

    def per_category(self, categories: int) -> list[int]:
        """How many records of each category are left."""
        return np.bincount(self.after[self.is_kept], minlength=categories).tolist()

    def per_category_before(self, categories: int) -> list[int]:
        return np.bincount(self.before, minlength=categories).tolist()


def labels_of(directory: Path, splits: Iterable[str]) -> dict[str, np.ndarray]:
    """The label of every record of each split, int64. Raises DamagedRecords."""
    found = {}
    for split in splits:
        with RecordReader(directory / f"{split}.rec") as reader:
            found[split] = record_blocks.labels(reader).astype(np.int64)
    return found


def revised(labels: Mapping[str, np.ndarray], categories: Sequence[str], changes: Changes) -> list[RevisedSplit]:
    """The splits after the changes. Raises WrongChange for changes that can't be made."""
    relabel = changes.relabel or {}
    excluded = _named(changes.exclude, labels, EXCLUDE)
    relabelled = _named(relabel, labels, RELABEL)
    if both := set(excluded) & set(relabelled):
        raise WrongChange(RELABEL, f"Both left out and given another category: {_listed(map(str, sorted(both)))}.")
    number_of = {name: number for number, name in enumerate(categories)}
    if unknown := [name for name in dict.fromkeys(relabel.values()) if name not in number_of]:
        raise WrongChange(RELABEL, _no_category(unknown, categories))
    splits = []
    for split, before in labels.items():
        after, is_kept = before.copy(), np.ones(len(before), bool)
        is_kept[[image.record for image in excluded if image.split == split]] = False
        for image, category in zip(relabelled, relabel.values(), strict=True):
            if image.split == split:
                after[image.record] = number_of[category]
        splits.append(RevisedSplit(split, before, after, is_kept))
    _check(splits, len(categories))
    return splits


def emptied(splits: Iterable[RevisedSplit], categories: Sequence[str]) -> list[str]:
    """The categories that lose their last image for training."""
    for split in splits:
        if split.name == _TRAIN:
            counts = zip(split.per_category_before(len(categories)), split.per_category(len(categories)), strict=True)
            return [name for name, (before, after) in zip(categories, counts, strict=True) if before and not after]
    return []


def _named(names: Iterable[str], labels: Mapping[str, np.ndarray], field: str) -> list[ImageName]:
    """The images of these names, in their order."""
    found, unknown = [], []
    for name in names:
        split, _, record = name.strip().rpartition("/")
        is_number = record.isascii() and record.isdecimal() and len(record) < 12
        if is_number and split in labels and int(record) < len(labels[split]):
            found.append(ImageName(split, int(record)))
        else:
            unknown.append(name)
    if unknown:
        there = ", ".join(f"{split}/0 to {split}/{len(of) - 1}" for split, of in labels.items())
        raise WrongChange(field, f"There is no image {_listed(unknown)} in the dataset. Its images are {there}.")
    if repeated := [str(image) for image, count in Counter(found).items() if count > 1]:
        raise WrongChange(field, f"Named twice: {_listed(repeated)}.")
    return found


def _check(splits, categories):
    if not any(split.is_changed for split in splits):
        raise WrongChange(
            EXCLUDE, "Nothing would change: name images to leave out, or images that get another category."
        )
    for split in splits:
        if not split.entries:
            raise WrongChange(EXCLUDE, f"No image of the split {split.name} would be left.")
        if split.name == _TRAIN and np.count_nonzero(split.per_category(categories)) < 2:
            raise WrongChange(EXCLUDE, "Only one category would have images for training; a classifier needs two.")


def _no_category(unknown, categories):
    similar = difflib.get_close_matches(unknown[0], categories, 1)
    hint = f" Is it {shown(similar[0])}?" if similar else f" Its categories are {_listed(categories)}."
    return f"The dataset has no category {_listed(unknown)}.{hint}"


def _listed(names: Iterable[str]) -> str:
    """The first names for a message, and the number of the others."""
    names = list(names)
    text = ", ".join(shown(name) for name in names[:_SHOWN])
    return text if len(names) <= _SHOWN else f"{text} and {len(names) - _SHOWN} more"
