"""Builds the databases of a revision: copies records of another dataset, and recomputes what depends on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

import numpy as np

from datasets.imagedb.build_log import BuildLog, named
from datasets.imagedb.copies import ExactCopies, as_json
from datasets.imagedb.encode import SIZES_SUFFIX
from datasets.imagedb.group_names import GROUPS_SUFFIX
from datasets.imagedb.images.depth import FULL_RANGE
from datasets.imagedb.progress import BuildProgress
from datasets.imagedb.revising import record_of_changes
from datasets.imagedb.revising.changes import Changes, RevisedSplit, emptied, labels_of, revised
from datasets.imagedb.revising.copies_left import count as count_copies
from datasets.imagedb.revising.revised_mean import revised_mean
from datasets.imagedb.spec import Built, BuiltSplit
from datasets.imagedb.store import record_blocks
from datasets.imagedb.store.mean import save_mean
from datasets.imagedb.store.records import RecordReader, RecordWriter, damaged
from datasets.imagedb.store.staging import staged
from digits_project.common.digests import State, remembered_sha256
from digits_project.common.errors import BadInput

_Row = TypeVar("_Row")
_COPY_BYTES = 4 << 20
NO_COPIES = ExactCopies()
_MEAN = ("mean.npy", "mean.png")
# Files beside the records with a row for each: the size of the image's file, and the number of its group.
BESIDE = {SIZES_SUFFIX: np.dtype("2<u2"), GROUPS_SUFFIX: np.dtype("<i4")}
_GONE = "The dataset that this one revises was deleted, so its images can't be copied any more."


@dataclass(frozen=True)
class RevisionSpec:
    """A revision to build. `source` is the folder of the other dataset, which is only read.

    splits: the names of its splits. digests: {file: SHA-256} of its files; those without one are not checked.
    white_level: the 16-bit sample value that became 255 when it was built. has_copies: whether exact copies are among
    its images; they are counted again then.
    """

    source: Path
    splits: Sequence[str]
    categories: Sequence[str]
    changes: Changes
    digests: Mapping[str, str] = field(default_factory=dict)
    white_level: int = FULL_RANGE
    has_copies: bool = False


def revise(spec: RevisionSpec, directory: Path, report: Callable[[float], None]) -> Built:
    """Write the databases of a revision into `directory`, as build() does. Raises BadInput, and DamagedFile for files
    of the other dataset that are missing or damaged."""
    return build_of_records(spec.source, _GONE, directory, report, lambda *where: _Revision(spec, *where).run())


def build_of_records(
    source: Path,
    gone: str,
    directory: Path,
    report: Callable[[float], None],
    build: Callable[[Path, BuildLog, BuildProgress], Built],
) -> Built:
    """Let `build` write databases that are made of another dataset's records, in `source`, into a staging folder that
    becomes `directory`. Raises BadInput with the text `gone` if `source` was deleted meanwhile."""
    progress = BuildProgress(report)
    try:
        with staged(directory) as aside:
            with BuildLog(aside / "build.log") as log:
                built = build(aside, log, progress)
            progress.finish()
    except (FileNotFoundError, BadInput):
        if not source.is_dir():
            raise BadInput(gone) from None
        raise
    return built


def check_source(source: Path, splits: Sequence[str], digests: Mapping[str, str], tick: Callable[[], None]) -> None:
    """Raise DamagedFile unless the files to copy are what the other build wrote."""
    for split in splits:
        for name in (f"{split}.rec", f"{split}.idx", f"{split}.txt"):
            check_file(source / name, digests.get(name), tick)


def check_file(path: Path, digest: str | None, tick: Callable[[], None]) -> None:
    """Raise DamagedFile unless the file has this SHA-256, if there is one."""
    if digest and not path.exists():
        raise damaged(path, "is missing.")
    if digest and remembered_sha256(path, State.of(path), tick) != digest:
        raise damaged(path, "is damaged: it is not what the build wrote (its SHA-256 differs).")


def rows_beside(source: Path, split: str, suffix: str, count: int) -> np.ndarray | None:
    """The rows of a file beside the records of a split; None without it, as datasets of earlier versions are. Raises
    DamagedFile unless it has a row for each of the `count` records."""
    path = source / f"{split}{suffix}"
    if not path.exists():
        return None
    if path.stat().st_size != count * BESIDE[suffix].itemsize:
        raise damaged(path, "does not have one row for each record.")
    return np.fromfile(path, BESIDE[suffix])


def lines_with(listing: Path, rows: Iterable[_Row]) -> Iterator[tuple[bytes, _Row]]:
    """Each line of a split's list of paths with its row. Raises DamagedFile unless there are as many lines as rows."""
    with listing.open("rb") as lines:
        for line, row in zip_longest(lines, rows):
            if line is None or row is None:
                raise damaged(listing, "does not have one line for each record.")
            yield line, row


class _Revision:
    """One build of a revision, into a staging folder."""

    def __init__(self, spec: RevisionSpec, directory: Path, log: BuildLog, progress: BuildProgress):
        self._spec = spec
        self._directory = directory
        self._log = log
        self._progress = progress
        self._copied = 0

    def run(self) -> Built:
        spec = self._spec
        check_source(spec.source, spec.splits, spec.digests, self._progress.tick)
        check_file(spec.source / _MEAN[0], spec.digests.get(_MEAN[0]), self._progress.tick)
        splits = revised(labels_of(spec.source, spec.splits), spec.categories, spec.changes)
        self._count = sum(len(split.before) for split in splits)
        paths = {split.name: self._write(split) for split in splits}
        (self._directory / "labels.txt").write_text("".join(f"{name}\n" for name in spec.categories), encoding="utf-8")
        mean = self._write_mean(splits)
        for name in emptied(splits, spec.categories):
            self._log.warn(f"The category {name} has no image for training any more. It is kept.")
        record_of_changes.write(self._directory, spec.source, splits, spec.categories, paths)
        built = [BuiltSplit(split.name, split.entries, split.per_category(len(spec.categories))) for split in splits]
        self._summarise(splits)
        pixel = [float(value) for value in mean.mean(axis=(0, 1))]
        found = count_copies(self._directory, splits, self._log, self._progress.tick) if spec.has_copies else NO_COPIES
        return Built(
            list(spec.categories),
            built,
            0,
            self._log.warnings,
            pixel,
            white_level=spec.white_level,
            copies=as_json(found),
        )

    def _write(self, split: RevisedSplit) -> dict[int, str]:
        """Write the files of a split. Returns the paths of the images that change, by their number before."""
        if split.is_changed:
            self._write_records(split)
        else:
            for suffix in (".rec", ".idx"):
                self._copy(f"{split.name}{suffix}")
        self._copied += len(split.before)
        self._write_sizes(split)
        return self._write_list(split)

    def _write_records(self, split: RevisedSplit) -> None:
        def at(fraction: float) -> None:
            self._progress.at((self._copied + fraction * len(split.before)) / self._count)

        path = self._spec.source / f"{split.name}.rec"
        with RecordReader(path) as reader, RecordWriter(self._directory / path.name) as writer:
            record_blocks.copy(reader, np.flatnonzero(split.is_kept), split.after[split.is_kept], writer, at)

    def _write_sizes(self, split: RevisedSplit) -> None:
        """Write the sizes of the files and the groups of the images, if the other dataset has them."""
        for suffix in BESIDE:
            rows = rows_beside(self._spec.source, split.name, suffix, len(split.before))
            if rows is not None:
                rows[split.is_kept].tofile(self._directory / f"{split.name}{suffix}")

    def _write_list(self, split: RevisedSplit) -> dict[int, str]:
        """Write NAME.txt, if the other dataset has it. Returns paths as _write() does."""
        source = self._spec.source / f"{split.name}.txt"
        paths: dict[int, str] = {}
        if not source.exists():
            return paths
        columns = zip(split.is_kept.tolist(), split.before.tolist(), split.after.tolist(), strict=True)
        with (self._directory / source.name).open("wb") as kept_lines:
            for number, (line, (is_kept, before, after)) in enumerate(lines_with(source, columns)):
                if is_kept and before == after:
                    kept_lines.write(line)
                    continue
                path = line.rpartition(b" ")[0]
                paths[number] = path.decode("utf-8", "replace")
                if is_kept:
                    kept_lines.write(b"%b %d\n" % (path, after))
                self._progress.tick()
        return paths

    def _write_mean(self, splits: Sequence[RevisedSplit]) -> np.ndarray:
        """Write the mean image, and return it: float64, H×W×C."""
        train = next(split for split in splits if split.name == "train")
        files = [self._spec.source / name for name in _MEAN]
        mean = revised_mean(self._spec.source, train, self._progress.tick)
        if train.is_kept.all() and all(file.exists() for file in files):
            for file in files:
                self._copy(file.name)
        else:
            save_mean(mean, *(self._directory / name for name in _MEAN))
        return mean

    def _copy(self, name: str) -> None:
        """Copy a file of the other dataset. A link would do, but a backup or a quota would count it twice anyway."""
        with (self._spec.source / name).open("rb") as source, (self._directory / name).open("wb") as target:
            while block := source.read(_COPY_BYTES):
                target.write(block)
                self._progress.tick()

    def _summarise(self, splits: Sequence[RevisedSplit]) -> None:
        categories = self._spec.categories
        self._log.note(f"made of the records of {self._spec.source.name}")
        self._log.note(f"{len(categories)} categories: {named(list(categories))}")
        for split in splits:
            self._log.note(
                f"{split.name}: {split.entries} images, {len(split.excluded)} left out, "
                f"{np.count_nonzero(split.is_kept & (split.before != split.after))} with another category"
            )
