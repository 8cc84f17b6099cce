"""Converts databases that were built elsewhere: checks every entry and writes our own record files."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.foreign.database import open_database
from datasets.imagedb.foreign.pairing import STEP, Paired, Pairing, in_words, index
from datasets.imagedb.foreign.pairs import labels_path
from datasets.imagedb.pool import WorkerDied, WorkerPool
from datasets.imagedb.progress import BuildProgress
from datasets.imagedb.store.mean import RunningMean, read_mean, save_mean
from datasets.imagedb.store.records import RecordWriter
from datasets.imagedb.store.staging import staged
from digits_project.common.confined_files import EVERYWHERE
from digits_project.common.errors import BadInput
from digits_project.common.resources import usable_cores

_INDEX_SHARE = 0.1  # of the progress
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)
_OUTPUTS = ["mean.npy", "mean.png", "build.log"]
_OUTPUTS += [f"{split}{rest}" for split in ("train", "val") for rest in (".rec", ".idx", "_labels.rec", "_labels.idx")]


@dataclass(frozen=True)
class PrebuiltSplit:
    """A database of images, and one of labels unless the images have their own labels."""

    images: Path
    labels: Path | None = None


@dataclass(frozen=True)
class PrebuiltSpec:
    """The databases to convert (LMDB of Caffe Datum, or RecordIO), and a mean image: Caffe's BlobProto, or .npy (C×H×W,
    RGB).

    With links resolved, all must be in `roots`.
    """

    train: PrebuiltSplit
    val: PrebuiltSplit | None = None
    mean: Path | None = None
    workers: int | None = None
    roots: tuple[Path, ...] = EVERYWHERE


@dataclass(frozen=True)
class Prebuilt:
    """The result of a conversion: entries by split, and the shapes (C, H, W) of the images and the labels."""

    entries: dict[str, int]
    image_shape: tuple[int, int, int]
    label_shape: tuple[int, int, int]
    label_images: bool
    warnings: list[str]


def check_prebuilt(path: Path, roots: Sequence[Path]) -> None:
    """Raise BadInput if the first bytes show that the path is not a database."""
    open_database(path, roots)


def build_prebuilt(spec: PrebuiltSpec, directory: Path, report: Callable[[float], None]) -> Prebuilt:
    """Write train.rec and val.rec, NAME_labels.rec if labels are images, and the mean, into `directory`.

    `report` and the handling of errors are as in build(). Raises BadInput if an entry is damaged, if images differ in
    shape, or if the numbers of images and labels differ.
    """
    for name in _OUTPUTS:
        (directory / name).unlink(missing_ok=True)
    progress = BuildProgress(report)
    with staged(directory) as aside:
        with BuildLog(aside / "build.log") as log:
            try:
                built = _Taking(spec, aside, log, progress).run()
            except WorkerDied as death:
                if death.signal not in _CRASHES:
                    raise
                raise BadInput(
                    "A database is damaged: reading it crashed the process. Build the database again."
                ) from death
        progress.finish()
    return built


class _Taking:
    """One conversion, into a staging folder."""

    def __init__(self, spec: PrebuiltSpec, directory: Path, log: BuildLog, progress: BuildProgress):
        self._spec = spec
        self._directory = directory
        self._log = log
        self._progress = progress
        # Shapes, whether labels are numbers, and the entry that set them; empty before the first entry.
        self._alike: tuple[Any, ...] = ()
        self._mean: RunningMean | None = None
        self._read = self._planned = 0

    def run(self) -> Prebuilt:
        self._progress.enter(0, _INDEX_SHARE)
        plans = {name: self._plan(split) for name, split in self._splits()}
        self._planned = sum(count for _, _, count in plans.values())
        self._progress.enter(_INDEX_SHARE, 1)
        for name, (pairing, tasks, _) in plans.items():
            self._write(name, pairing, tasks)
        image_shape, label_shape, numbers, _ = self._alike
        mean = (
            cast(RunningMean, self._mean).image()
            if self._spec.mean is None
            else read_mean(self._spec.mean, image_shape, self._spec.roots)
        )
        save_mean(mean, self._directory / "mean.npy", self._directory / "mean.png")
        entries = {name: count for name, (_, _, count) in plans.items()}
        for name, count in entries.items():
            self._log.note(f"{name}: {count} images")
        return Prebuilt(entries, image_shape, label_shape, not numbers, self._log.warnings)

    def _splits(self):
        return [(name, split) for name in ("train", "val") if (split := getattr(self._spec, name))]

    def _plan(self, split):
        """The Pairing of a split, its tasks, and the number of entries."""
        images = open_database(split.images, self._spec.roots)
        labels = open_database(split.labels, self._spec.roots) if split.labels else None
        if labels and labels.path == images.path:
            labels = images  # a process can't open the same LMDB twice
        count, marks = self._indexed(images)
        if not count:
            raise BadInput(f"{split.images} holds no images.")
        label_marks = [None] * len(marks)
        if labels:
            label_count, label_marks = self._indexed(labels)
            if label_count != count:
                raise BadInput(f"{split.images} has {count} entries, but {split.labels} has {label_count}.")
        counts = [min(STEP, count - start) for start in range(0, count, STEP)]
        return Pairing(images, labels), list(zip(marks, label_marks, counts, strict=True)), count

    def _indexed(self, database):
        """Database.index(), in a process of its own, because it can crash."""
        with WorkerPool(index, 1) as pool:
            return _good(next(pool.map([database], self._progress.tick)))

    def _write(self, name, pairing, tasks):
        path = self._directory / f"{name}.rec"
        workers = min(self._spec.workers or usable_cores(), len(tasks))
        with ExitStack() as stack:
            writer, label_writer = stack.enter_context(RecordWriter(path)), None
            pool = stack.enter_context(WorkerPool(pairing, workers))
            for paired in pool.map(tasks, self._progress.tick):
                self._check_alike(_good(paired), pairing)
                if paired.label_payloads and label_writer is None:
                    label_writer = stack.enter_context(RecordWriter(labels_path(path)))
                _write_pairs(paired, writer, label_writer)
                if name == "train":
                    self._add_to_mean(paired)
                self._read += len(paired.payloads)
                self._progress.at(self._read / self._planned)

    def _check_alike(self, paired: Paired, pairing: Pairing):
        found = (paired.image_shape, paired.label_shape, not paired.label_payloads)
        where = f"entry {paired.first} of {pairing.images.path}"
        if not self._alike:
            self._alike = (*found, where)
        if found != self._alike[:3]:
            raise BadInput(
                f"{where} is {in_words(found)}, but {self._alike[3]} is {in_words(self._alike)}. All must be alike."
            )
        if paired.strays and not self._log.warnings:
            names = " and ".join(paired.strays)
            self._log.warn(f"Images and labels are paired in order, but their keys differ; the first pair is {names}.")

    def _add_to_mean(self, paired: Paired):
        if self._mean is None:
            channels, height, width = paired.image_shape
            self._mean = RunningMean(height, width, channels)
        self._mean.add(paired.total, len(paired.payloads))


def _write_pairs(paired, writer, label_writer):
    for number, payload in enumerate(paired.payloads):
        label = paired.labels[number] if paired.labels else (0.0,)  # a placeholder if the label is an image
        writer.write(label if len(label) > 1 else float(label[0]), payload)
    for payload in paired.label_payloads:
        label_writer.write(0.0, payload)


def _good(answer):
    if isinstance(answer, BadInput):
        raise answer
    return answer
