"""Builds the image databases of a dataset: scans, splits, encodes on all cores, writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.imagedb import split, white_level
from datasets.imagedb.build_log import BuildLog, named
from datasets.imagedb.copies import as_json
from datasets.imagedb.encode import SIZES_SUFFIX, Encoded, Encoder
from datasets.imagedb.group_names import GROUPS_SUFFIX
from datasets.imagedb.images.depth import FULL_RANGE
from datasets.imagedb.planning import Planner
from datasets.imagedb.pool import WorkerPool
from datasets.imagedb.progress import BuildProgress
from datasets.imagedb.spec import Built, BuiltSplit, Spec
from datasets.imagedb.split import Part
from datasets.imagedb.store.mean import RunningMean
from datasets.imagedb.store.records import RecordWriter
from datasets.imagedb.store.staging import staged
from digits_project.common.errors import BadInput
from digits_project.common.escaping import escaped
from digits_project.common.resources import usable_cores

_MEASURE_SHARE = 0.05  # of the progress
_SPLIT_SUFFIXES = (".rec", ".idx", ".txt", SIZES_SUFFIX, GROUPS_SUFFIX)
_OUTPUTS = ["labels.txt", "mean.npy", "mean.png", "build.log"]
_OUTPUTS += [name + suffix for name in split.NAMES for suffix in _SPLIT_SUFFIXES]


def build(spec: Spec, directory: Path, report: Callable[[float], None]) -> Built:
    """Write the databases of `spec` into `directory`. Returns their categories, numbers of images and warnings.

    `report(fraction)` is called several times a second; an exception from it stops the build at once. After any
    exception no process is running and no file of the build is left in `directory`. Raises BadInput if the folders hold
    nothing to train on. The calling thread must live until this returns.
    """
    progress = BuildProgress(report)
    for name in _OUTPUTS:  # of an earlier attempt, which can have had other splits
        (directory / name).unlink(missing_ok=True)
    with staged(directory) as aside:
        with BuildLog(aside / "build.log") as log:
            built = _Build(spec, aside, log, progress).run()
        progress.finish()
    return built


class _Build:
    """One build, into a staging folder."""

    def __init__(self, spec: Spec, directory: Path, log: BuildLog, progress: BuildProgress):
        self._spec = spec
        self._directory = directory
        self._log = log
        self._progress = progress
        self._mean = RunningMean(spec.height, spec.width, spec.channels)
        self._workers = spec.workers or usable_cores()
        self._white_level = FULL_RANGE
        self._planned = self._read = 0
        self._unpacking = directory / "unpacking"
        self._planner = Planner(spec, directory, self._unpacking, log, progress)

    def run(self) -> Built:
        try:
            return self._run()
        except BadInput as wrong:
            raise BadInput(escaped(self._log.shown(str(wrong)))) from wrong
        finally:
            shutil.rmtree(self._unpacking, ignore_errors=True)

    def _run(self):
        plan = self._planner.run()
        parts = plan.parts
        self._planned = sum(len(part.images) for part in parts)
        self._measure(parts)
        categories, splits = self._write_all(parts, plan.categories)
        self._log.sum_up_remarks()
        self._mean.save(self._directory / "mean.npy", self._directory / "mean.png")
        (self._directory / "labels.txt").write_text("".join(f"{name}\n" for name in categories), encoding="utf-8")
        self._summarise(categories, splits)
        return Built(
            categories,
            splits,
            self._log.skipped,
            self._log.warnings,
            self._mean.pixel(),
            skipped_reasons=self._log.skipped_reasons,
            white_level=self._white_level,
            copies=as_json(plan.copies),
            found=plan.found,
        )

    def _measure(self, parts):
        """Determine the white level of 16-bit images."""
        encoding_from = self._planner.share
        if self._spec.depth == "auto":
            encoding_from += _MEASURE_SHARE
            self._progress.enter(self._planner.share, encoding_from)
            self._white_level = white_level.white_level(parts, self._workers, self._log, self._progress.at)
        self._progress.enter(encoding_from, 1)

    def _write_all(self, parts, categories):
        """Write the splits. Returns the categories that have a readable image for training, and what was written."""
        encoder = Encoder(parts, self._spec, self._white_level)
        Image.preinit()  # otherwise each worker would import Pillow's decoders
        workers = encoder.useful(self._workers)
        with WorkerPool(encoder, workers) as pool:
            results = pool.map(encoder.tasks(workers), self._progress.tick)
            train, label_of = self._write_train(parts[0], categories, results)
            categories = [name for name, label in zip(categories, label_of, strict=True) if label >= 0]
            splits = [self._listed(train, len(categories))]  # while the workers encode the next split
            for part in parts[1:]:
                written = self._write_other(part.with_labels(label_of), results)
                if len(written.images):
                    splits.append(self._listed(written, len(categories)))
        return categories, splits

    def _write_train(self, part, categories, results):
        with RecordWriter(self._directory / "train.rec") as writer:
            part = self._write(part, results, writer)
            label_of = self._readable_labels(part, categories)
            if -1 in label_of:
                writer.relabel(label_of.tolist(), self._progress.tick)
        return part.relabelled(label_of), label_of

    def _readable_labels(self, part, categories):
        """Labels without gaps for the categories that have a readable image, -1 for the others.

        Labels from a text file do not change. Raises BadInput if fewer than two categories have an image.
        """
        counts = part.count(len(categories))
        dropped = [name for name, count in zip(categories, counts, strict=True) if not count]
        kept = len(categories) - len(dropped)
        if not kept:
            raise BadInput(f"None of the images for training could be read. {self._log.first_skipped}.")
        if kept == 1:
            raise BadInput(
                "Only one category has readable images for training; a classifier needs two. Categories without "
                f"any: {named(dropped)}. {self._log.first_skipped}."
            )
        if dropped and self._spec.listed:
            self._log.warn(f"Without a readable image for training: {named(dropped)}.")
        if self._spec.listed:
            return np.arange(len(categories))
        if dropped:
            self._log.warn(f"Left out, because no image for training could be read: {named(dropped)}.")
        for name in dropped:
            self._log.note(f"left out: {name}")
        return np.where(counts > 0, np.cumsum(counts > 0) - 1, -1)

    def _write_other(self, part, results):
        with RecordWriter(self._directory / f"{part.name}.rec") as writer:
            written = self._write(part, results, writer)
        if not len(written.images):
            self._log.warn(f"The {part.name} split is empty: none of its images could be read.")
            for suffix in (".rec", ".idx"):
                (self._directory / part.name).with_suffix(suffix).unlink()
        return written

    def _write(self, part: Part, results: Iterator[Encoded], writer: RecordWriter) -> Part:
        """Write a record for every readable image that has a label. Returns a part with only those images."""
        written = np.zeros(len(part.images), bool)
        sizes = np.zeros((len(part.images), 2), "<u2")
        position = 0
        while position < len(part.images):
            encoded = next(results)
            images = part.images[position : position + len(encoded.payloads)]
            labels = part.labels(images).tolist()
            self._log_images(part, images, labels, encoded)
            for offset, (label, payload) in enumerate(zip(labels, encoded.payloads, strict=True), position):
                if payload is not None and label >= 0:
                    writer.write(label, payload)
                    written[offset] = True
            if encoded.total is not None:
                self._mean.add(encoded.total, len(images) - len(encoded.failed))
            sizes[position : position + len(images)] = encoded.sizes
            position += len(images)
            self._read += len(images)
            self._progress.at(self._read / self._planned)
        if written.any():
            sizes[written].tofile(self._directory / f"{part.name}{SIZES_SUFFIX}")
        return replace(part, images=part.images[written])

    def _log_images(self, part, images, labels, encoded):
        """Log what was found about the images of a task, in their order."""
        found: list[tuple[int, Callable[[bytes, str], None], str]]
        found = [(offset, self._log.remark, remark) for offset, remark in encoded.remarks]
        found += [(offset, self._log.skip, reason) for offset, reason in encoded.failed.items()]
        for offset, note, text in sorted(found, key=itemgetter(0)):
            if labels[offset] >= 0:
                note(part.listing.path(images[offset]), text)

    def _listed(self, part, categories):
        """Write NAME.txt with a line "path label" for each record, in the order of the records; and NAME.groups, if
        groups are named."""
        with (self._directory / f"{part.name}.txt").open("wb") as file:
            for images, labels in part.blocks():
                paths = (self._log.shown_path(part.listing.path(image)) for image in images.tolist())
                file.writelines(b"%b %d\n" % line for line in zip(paths, labels.tolist(), strict=True))
                self._progress.tick()
        if part.groups is not None:
            part.groups[part.images].astype("<i4").tofile(self._directory / f"{part.name}{GROUPS_SUFFIX}")
        return BuiltSplit(part.name, len(part.images), part.count(categories).tolist())

    def _summarise(self, categories, splits):
        self._log.note(f"{len(categories)} categories: {named(categories)}")
        for made in splits:
            self._log.note(
                f"{made.name}: {made.entries} images, {min(made.per_category)} to {max(made.per_category)} a category"
            )
        self._log.note(f"{self._log.skipped} images skipped")
        if self._log.skipped:
            self._log.note(self._log.skipped_in_words())
