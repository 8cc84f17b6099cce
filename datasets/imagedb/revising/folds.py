"""Builds one of k folds of a dataset: its records for training and validation, dealt anew.

In fold i the images of part i are for validation, all others for training. The parts depend on the seed and the images
only, so each fold is built alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.group_names import AUTO, GROUPS_SUFFIX, OFF
from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.images.depth import FULL_RANGE
from datasets.imagedb.progress import BuildProgress
from datasets.imagedb.revising.revise import BESIDE, build_of_records, check_source, lines_with, rows_beside
from datasets.imagedb.spec import Built, BuiltSplit
from datasets.imagedb.split_groups import JoinedSets
from datasets.imagedb.store import record_blocks
from datasets.imagedb.store.mean import RunningMean
from datasets.imagedb.store.records import RecordReader, RecordWriter
from digits_project.common.errors import BadInput

TRAIN, VAL, TEST = "train", "val", "test"
_DIGEST_BYTES = 8
NO_GROUPS = (
    "The dataset was built by an earlier version, which did not store which images belong together (split_groups). "
    "Build it again."
)
_GONE = "The dataset whose fold this is was deleted, so its images can't be copied any more."


@dataclass(frozen=True)
class FoldSpec:
    """A fold to build. `source` is the folder of the dataset, which is only read; `splits` are the names of its splits.

    fold: its number, from 1 to `folds`. split_groups: which images share a part, as in Spec.
    """

    source: Path
    splits: Sequence[str]
    categories: Sequence[str]
    shape: tuple[int, int, int]  # channels, height, width
    fold: int
    folds: int
    seed: int = 0
    split_groups: str = AUTO
    digests: Mapping[str, str] = field(default_factory=dict)  # {file: SHA-256} of the dataset
    white_level: int = FULL_RANGE


@dataclass(frozen=True)
class _Pool:
    """The images to deal, in the order of their records.

    counts: how many each split has. Of each image: its label, the number of its group, and the digest of its content.
    """

    counts: Mapping[str, int]
    labels: np.ndarray
    groups: np.ndarray
    digests: np.ndarray

    def of_splits(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The numbers of the records of these images, which ascend, in each split."""
        first, numbers = 0, {}
        for split, count in self.counts.items():
            numbers[split] = images[(images >= first) & (images < first + count)] - first
            first += count
        return numbers


def build_fold(spec: FoldSpec, directory: Path, report: Callable[[float], None]) -> Built:
    """Write the databases of a fold into `directory`, as build() does. Raises BadInput."""
    return build_of_records(spec.source, _GONE, directory, report, lambda *where: _Fold(spec, *where).run())


def parts_of(labels: np.ndarray, groups: np.ndarray, digests: np.ndarray, folds: int) -> np.ndarray:
    """The part of each image, 0 to folds - 1, int32. Images of a group share one, and each category is spread evenly.

    The largest groups are dealt first, and those of one size in the order of their digests: each to the part with the
    fewest images of its category, then with the fewest images.
    """
    _, firsts, group_of, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    digest = np.full(len(sizes), np.iinfo(digests.dtype).max)
    np.minimum.at(digest, group_of, digests)
    order = np.lexsort((digest, -sizes))
    of_category = [[0] * folds for _ in range(labels.max(initial=-1) + 1)]
    of_all, part = [0] * folds, np.empty(len(sizes), np.int32)
    for group in order.tolist():
        counts, size = of_category[labels[firsts[group]]], int(sizes[group])
        chosen = min(range(folds), key=lambda one: (counts[one], of_all[one], one))
        counts[chosen] += size
        of_all[chosen] += size
        part[group] = chosen
    return part[group_of]


def joined(digests: np.ndarray, names: np.ndarray, split_groups: str) -> np.ndarray:
    """The number of each image's group: that of its copies, joined with those of the same name; with off its own.

    names: the number of the name of each image, -1 for none.
    """
    if split_groups == OFF:
        return np.arange(len(digests))
    _, groups = np.unique(digests, return_inverse=True)
    copies = int(groups.max(initial=-1)) + 1
    sets = JoinedSets(copies + int(names.max(initial=-1)) + 1)
    for image in np.flatnonzero(names >= 0):
        sets.join(int(groups[image]), copies + int(names[image]))
    return sets.roots()[groups]


class _Fold:
    """One build of a fold, into a staging folder."""

    def __init__(self, spec: FoldSpec, directory: Path, log: BuildLog, progress: BuildProgress):
        self._spec, self._directory, self._log, self._progress = spec, directory, log, progress

    def run(self) -> Built:
        spec = self._spec
        check_source(spec.source, spec.splits, spec.digests, self._progress.tick)
        pool = self._pool([split for split in spec.splits if split != TEST])
        parts = parts_of(pool.labels, pool.groups, pool.digests, spec.folds)
        counts = np.bincount(parts, minlength=spec.folds)
        if not counts.all():
            raise BadInput(
                f"{len(parts)} images, of which copies and groups share a fold, are too few for {spec.folds} folds."
            )
        is_val = parts == spec.fold - 1
        train = self._write(TRAIN, pool, np.flatnonzero(~is_val))
        splits = [train, self._write(VAL, pool, np.flatnonzero(is_val))]
        if TEST in spec.splits:
            test = self._pool([TEST])
            splits.append(self._write(TEST, test, np.arange(len(test.labels))))
        (self._directory / "labels.txt").write_text("".join(f"{name}\n" for name in spec.categories), encoding="utf-8")
        for name, images in zip(spec.categories, train.per_category, strict=True):
            if not images:
                self._log.warn(f"The category {name} has no image for training in this fold.")
        self._log.note(f"fold {spec.fold} of {spec.folds}, made of the records of {spec.source.name}")
        pixel = self._write_mean()
        return Built(list(spec.categories), splits, 0, self._log.warnings, pixel, white_level=spec.white_level)

    def _pool(self, splits: Sequence[str]) -> _Pool:
        counts, labels, digests, names = {}, [], [], []
        for split in splits:
            with RecordReader(self._spec.source / f"{split}.rec") as reader:
                counts[split] = len(reader)
                of_split, contents = self._read(reader)
            labels.append(of_split)
            digests.append(contents)
            names.append(self._names(split, counts[split]))
        every_digest = np.concatenate(digests)
        groups = joined(every_digest, np.concatenate(names), self._spec.split_groups)
        return _Pool(counts, np.concatenate(labels), groups, every_digest)

    def _read(self, reader: RecordReader) -> tuple[np.ndarray, np.ndarray]:
        """The label of each image, int64, and a number of its content, uint64, which depends on the seed too."""
        salt, count = self._spec.seed.to_bytes(8, "little"), len(reader)
        labels, digests = np.empty(count, np.int64), np.empty(count, np.uint64)
        for number in range(count):
            labels[number], payload = reader[number]
            digest = blake2b(payload, digest_size=_DIGEST_BYTES, salt=salt).digest()
            digests[number] = int.from_bytes(digest, "little")
            self._progress.tick()
        return labels, digests

    def _names(self, split: str, count: int) -> np.ndarray:
        """The number of the name of the group of each image of a split; -1 for none."""
        if self._spec.split_groups in (AUTO, OFF):
            return np.full(count, -1, np.int32)
        numbers = rows_beside(self._spec.source, split, GROUPS_SUFFIX, count)
        if numbers is None:
            raise BadInput(NO_GROUPS)
        return numbers

    def _write(self, name: str, pool: _Pool, images: np.ndarray) -> BuiltSplit:
        """Write the files of a split."""
        chosen, labels = pool.of_splits(images), pool.labels[images]

        def at(_: float) -> None:
            self._progress.at(len(writer) / (2 * len(images)))

        with RecordWriter(self._directory / f"{name}.rec") as writer:
            for split, numbers in chosen.items():
                with RecordReader(self._spec.source / f"{split}.rec") as reader:
                    record_blocks.copy(reader, numbers, labels[len(writer) :], writer, at)
        self._write_list(name, pool, chosen)
        self._write_beside(name, pool, images)
        per_category = np.bincount(labels, minlength=len(self._spec.categories))
        return BuiltSplit(name, len(images), per_category.tolist())

    def _write_list(self, name: str, pool: _Pool, chosen: Mapping[str, np.ndarray]) -> None:
        """Write the paths of the images, if the dataset has them."""
        listings = {split: self._spec.source / f"{split}.txt" for split in chosen}
        if not all(listing.exists() for listing in listings.values()):
            return
        with (self._directory / f"{name}.txt").open("wb") as kept_lines:
            for split, listing in listings.items():
                is_chosen = np.zeros(pool.counts[split], bool)
                is_chosen[chosen[split]] = True
                for line, is_kept in lines_with(listing, is_chosen.tolist()):
                    if is_kept:
                        kept_lines.write(line)
                    self._progress.tick()

    def _write_beside(self, name: str, pool: _Pool, images: np.ndarray) -> None:
        """Write the rows beside the records, if the dataset has them."""
        for suffix in BESIDE:
            rows = [rows_beside(self._spec.source, split, suffix, count) for split, count in pool.counts.items()]
            known = [of_split for of_split in rows if of_split is not None]
            if len(known) == len(rows):
                np.concatenate(known)[images].tofile(self._directory / f"{name}{suffix}")

    def _write_mean(self) -> list[float]:
        channels, height, width = self._spec.shape
        mean = RunningMean(height, width, channels)
        with RecordReader(self._directory / f"{TRAIN}.rec") as reader:
            for number in range(len(reader)):
                mean.add(decode_record(reader[number][1]).astype(np.float64), 1)
                self._progress.at(0.5 + number / (2 * len(reader)))
        mean.save(self._directory / "mean.npy", self._directory / "mean.png")
        return mean.pixel()
