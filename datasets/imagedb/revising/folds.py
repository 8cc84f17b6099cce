"""Builds one of k folds of a dataset: its records for training and validation, dealt anew.

In fold i the images of part i are for validation, all others for training. The parts depend on the seed and the images
only, so each fold is built alone.
"""

from __future__ import annotations

from collections import Counter
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
from datasets.imagedb.revising.revise import BESIDE, build_of_records, check_source, rows_beside
from datasets.imagedb.spec import Built, BuiltSplit
from datasets.imagedb.store.mean import RunningMean
from datasets.imagedb.store.records import RecordReader, RecordWriter
from digits_project.common.errors import BadInput

TRAIN, VAL, TEST = "train", "val", "test"
_DIGEST_BYTES = 16
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


@dataclass
class _Pool:
    """The images to deal, in the order of their records: of each its split and record, label, group, and path."""

    places: list[tuple[str, int]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    groups: list[bytes] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)


def build_fold(spec: FoldSpec, directory: Path, report: Callable[[float], None]) -> Built:
    """Write the databases of a fold into `directory`, as build() does. Raises BadInput."""
    return build_of_records(spec.source, _GONE, directory, report, lambda *where: _Fold(spec, *where).run())


def parts_of(labels: Sequence[int], groups: Sequence[bytes], folds: int, seed: int) -> np.ndarray:
    """The part of each image, 0 to folds - 1. Images of a group share a part, and each category is spread evenly.

    The groups are dealt in an order that only the seed and their names decide, each to the part with the fewest images
    of its category, then with the fewest images.
    """
    sizes = Counter(groups)
    category = dict(zip(reversed(groups), reversed(labels), strict=True))  # of a group: that of its first image
    salt = seed.to_bytes(8, "little")
    order = sorted(sizes, key=lambda group: (-sizes[group], blake2b(group, digest_size=8, salt=salt).digest()))
    of_category: dict[int, list[int]] = {}
    of_all, part = [0] * folds, {}
    for group in order:
        counts = of_category.setdefault(category[group], [0] * folds)
        chosen = min(range(folds), key=lambda one: (counts[one], of_all[one], one))
        counts[chosen] += sizes[group]
        of_all[chosen] += sizes[group]
        part[group] = chosen
    return np.array([part[group] for group in groups], np.int32)


def joined(digests: Sequence[bytes], names: Sequence[str], split_groups: str) -> list[bytes]:
    """The group of each image: that of its copies, joined with those of the same name; with off one of its own."""
    if split_groups == OFF:
        seen: Counter[bytes] = Counter()
        alone = []
        for digest in digests:
            seen[digest] += 1
            alone.append(digest + seen[digest].to_bytes(4, "little"))
        return alone
    parent: dict[bytes, bytes] = {}

    def root(group: bytes) -> bytes:
        while parent.setdefault(group, group) != group:
            group = parent[group]
        return group

    for digest, name in zip(digests, names, strict=True):
        if name:
            parent[root(digest)] = root(b"=" + name.encode("utf-8", "replace"))
    return [root(digest) for digest in digests]


class _Fold:
    """One build of a fold, into a staging folder."""

    def __init__(self, spec: FoldSpec, directory: Path, log: BuildLog, progress: BuildProgress):
        self._spec, self._directory, self._log, self._progress = spec, directory, log, progress

    def run(self) -> Built:
        spec = self._spec
        check_source(spec.source, spec.splits, spec.digests, self._progress.tick)
        pool = self._pool([split for split in spec.splits if split != TEST])
        parts = parts_of(pool.labels, pool.groups, spec.folds, spec.seed)
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
            splits.append(self._write(TEST, test, np.arange(len(test.places))))
        (self._directory / "labels.txt").write_text("".join(f"{name}\n" for name in spec.categories), encoding="utf-8")
        for name, images in zip(spec.categories, train.per_category, strict=True):
            if not images:
                self._log.warn(f"The category {name} has no image for training in this fold.")
        self._log.note(f"fold {spec.fold} of {spec.folds}, made of the records of {spec.source.name}")
        pixel = self._write_mean()
        return Built(list(spec.categories), splits, 0, self._log.warnings, pixel, white_level=spec.white_level)

    def _pool(self, splits: Sequence[str]) -> _Pool:
        pool, names = _Pool(), []
        for split in splits:
            listing = self._spec.source / f"{split}.txt"
            lines = listing.read_bytes().split(b"\n")[:-1] if listing.exists() else []
            with RecordReader(self._spec.source / f"{split}.rec") as reader:
                for number in range(len(reader)):
                    label, payload = reader[number]
                    pool.places.append((split, number))
                    pool.labels.append(int(label))
                    pool.groups.append(blake2b(payload, digest_size=_DIGEST_BYTES).digest())
                    self._progress.tick()
                known = lines if len(lines) == len(reader) else [b""] * len(reader)
            pool.lines += known
            names += self._names(split, len(known))
        pool.groups = joined(pool.groups, names, self._spec.split_groups)
        return pool

    def _names(self, split: str, count: int) -> list[str]:
        """The name of the group of each image of a split; "" for none."""
        if self._spec.split_groups in (AUTO, OFF):
            return [""] * count
        numbers = rows_beside(self._spec.source, split, GROUPS_SUFFIX, count)
        if numbers is None:
            raise BadInput(NO_GROUPS)
        return [str(number) if number >= 0 else "" for number in numbers.tolist()]

    def _write(self, name: str, pool: _Pool, images: np.ndarray) -> BuiltSplit:
        """Write the files of a split."""
        spec, chosen = self._spec, images.tolist()
        splits = dict.fromkeys(split for split, _ in pool.places)
        readers = {split: RecordReader(spec.source / f"{split}.rec") for split in splits}
        try:
            with RecordWriter(self._directory / f"{name}.rec") as writer:
                for done, image in enumerate(chosen):
                    split, number = pool.places[image]
                    writer.copy(readers[split].record(number), pool.labels[image])
                    self._progress.at(done / (2 * len(chosen)))
        finally:
            for reader in readers.values():
                reader.close()
        if all(pool.lines):
            (self._directory / f"{name}.txt").write_bytes(b"".join(pool.lines[image] + b"\n" for image in chosen))
        counts = Counter(split for split, _ in pool.places)
        for suffix in BESIDE:
            rows = [rows_beside(spec.source, split, suffix, counts[split]) for split in splits]
            known = [of_split for of_split in rows if of_split is not None]
            if len(known) == len(rows):
                np.concatenate(known)[images].tofile(self._directory / f"{name}{suffix}")
        labels = np.array([pool.labels[image] for image in chosen], np.int64)
        return BuiltSplit(name, len(chosen), np.bincount(labels, minlength=len(spec.categories)).tolist())

    def _write_mean(self) -> list[float]:
        channels, height, width = self._spec.shape
        mean = RunningMean(height, width, channels)
        with RecordReader(self._directory / f"{TRAIN}.rec") as reader:
            for number in range(len(reader)):
                mean.add(decode_record(reader[number][1]).astype(np.float64), 1)
                self._progress.at(0.5 + number / (2 * len(reader)))
        mean.save(self._directory / "mean.npy", self._directory / "mean.png")
        return mean.pixel()
