"""Builds the image databases of a dataset: scan, deal out, encode over all cores, write."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from datasets.imagedb import archive, folder, measuring, split, textfile
from datasets.imagedb.buildlog import BuildLog, named
from datasets.imagedb.depth import FULL_RANGE
from datasets.imagedb.encode import Encoder
from datasets.imagedb.mean import RunningMean
from datasets.imagedb.pool import Pool
from datasets.imagedb.progress import Progress
from datasets.imagedb.records import RecordWriter
from datasets.imagedb.spec import Built, Source, Spec, Split
from datasets.imagedb.split import Part
from datasets.imagedb.staging import staged
from digits_project.cores import usable_cores
from digits_project.errors import BadInput
from digits_project.serverfiles import EVERYWHERE

_SCAN_SHARE = 0.05  # of the progress; reading and encoding take nearly all of the time
_MEASURE_SHARE = 0.05
_UNPACK_SHARE, _UNPACK_SHARE_OF_SCAN = 0.4, 0.9  # where there is something to unpack
_SPLIT_SUFFIXES = (".rec", ".idx", ".txt")
_OUTPUTS = ["labels.txt", "mean.npy", "mean.png", "build.log"]
_OUTPUTS += [name + suffix for name in split.NAMES for suffix in _SPLIT_SUFFIXES]


def check(spec: Spec) -> None:
    """Raise BadInput for what can be told at once, before any image is looked at.

    That is a folder that is missing, can't be read or holds too few subfolders, or a line of a text file that is wrong.
    """
    if spec.listed:
        for complaint in textfile.check(spec).values():
            raise BadInput(complaint)
        return
    for source, categories in ((spec.train, 2), (spec.val, 1), (spec.test, 1)):
        if source is not None and not source.sent:
            check_folder(source.folder, spec.roots, categories)


def check_folder(path: Path, roots: Sequence[Path], categories: int = 1) -> None:
    """Raise BadInput for a folder that is missing, can't be read or has fewer than `categories` (1 or 2) subfolders.

    It may be packed, as an archive.
    """
    if archive.is_archive(path, roots):
        return  # what is in it, its unpacking tells
    found = folder.subfolders(path, roots)
    if len(found) < categories:
        raise BadInput(
            f"{path} has one subfolder only, {found[0]}; a classifier needs two categories. "
            "Put the images of each category into a subfolder of its own."
        )


def build(spec: Spec, directory: Path, report: Callable[[float], None]) -> Built:
    """Write the databases of `spec` into `directory` and say what is in them.

    `report(fraction)` is called several times a second; what it raises stops the build at once. After that, as after
    any error, no process is left running and no file of the build in `directory`. Raises BadInput when the folders
    hold nothing to train on. Call it from a thread that lives until it returns.
    """
    progress = Progress(report)
    for name in _OUTPUTS:  # of an earlier attempt, whose splits may have been others
        (directory / name).unlink(missing_ok=True)
    with staged(directory) as aside:
        with BuildLog(aside / "build.log") as log:
            built = _Build(spec, aside, log, progress).run()
        progress.finish()
    return built


class _Build:
    """One build, into a folder that nobody else sees."""

    def __init__(self, spec: Spec, directory: Path, log: BuildLog, progress: Progress):
        self._spec = spec
        self._directory = directory
        self._log = log
        self._progress = progress
        self._mean = RunningMean(spec.height, spec.width, spec.channels)
        self._workers = spec.workers or usable_cores()
        self._white_level = FULL_RANGE
        self._planned = self._read = 0
        self._unpacking = directory / "unpacking"
        self._packed = {source for source in (spec.train, spec.val, spec.test) if self._is_packed(source)}
        self._scan_share = _UNPACK_SHARE if self._packed else _SCAN_SHARE

    def run(self) -> Built:
        try:
            return self._run()
        except BadInput as wrong:
            raise BadInput(self._log.shown(str(wrong))) from wrong
        finally:
            shutil.rmtree(self._unpacking, ignore_errors=True)

    def _run(self):
        categories, parts = self._plan()
        self._planned = sum(len(part.images) for part in parts)
        self._measure(parts)
        train, label_of = self._write_train(parts[0], categories)
        categories = [name for name, label in zip(categories, label_of, strict=True) if label >= 0]
        written = [train] + [self._write_other(part.relabelled(label_of)) for part in parts[1:]]
        splits = [self._listed(part, len(categories)) for part in written if len(part.images)]
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
        )

    def _measure(self, parts):
        """Find out which sample of images of 16 bits becomes white."""
        encoding_from = self._scan_share
        if self._spec.depth == "auto":
            encoding_from += _MEASURE_SHARE
            self._progress.enter(self._scan_share, encoding_from)
            self._white_level = measuring.white_level(parts, self._workers, self._log, self._progress.at)
        self._progress.enter(encoding_from, 1)

    def _plan(self):
        """The categories and the parts, train first; all that is known before an image is read."""
        return self._plan_lists() if self._spec.listed else self._plan_folders()

    def _plan_lists(self):
        categories = textfile.read_categories(self._spec.labels)
        sources = [(name, source) for name in split.NAMES if (source := getattr(self._spec, name))]
        shares = np.linspace(0, self._scan_share, len(sources) + 1)
        parts = []
        for (name, source), start, stop in zip(sources, shares, shares[1:], strict=False):
            self._progress.enter(start, stop)
            listing = textfile.scan(source, categories, self._directory / "paths", self._progress.at, self._spec.roots)
            parts.append(split.listed_part(name, listing, self._spec, self._log))
        return categories, parts

    def _plan_folders(self):
        own = [(name, source) for name in split.NAMES[1:] if (source := getattr(self._spec, name))]
        shares = np.linspace(0, self._scan_share, len(own) + 2)
        listing = self._scan(self._spec.train, *shares[:2])
        categories, parts = split.deal(listing, self._spec, self._log, self._progress.tick)
        for (name, source), start, stop in zip(own, shares[1:], shares[2:], strict=False):
            listing = self._scan(source, start, stop)
            parts.append(split.own_part(name, listing, self._spec, categories, self._log, self._progress.tick))
        return categories, sorted(parts, key=lambda part: split.NAMES.index(part.name))

    def _scan(self, source, start, stop):
        path, roots = source.folder, self._spec.roots
        if source in self._packed:
            unpacked = start + _UNPACK_SHARE_OF_SCAN * (stop - start)
            self._progress.enter(start, unpacked)
            path, roots = self._unpacked(source)
            start = unpacked
        self._progress.enter(start, stop)
        return folder.scan(path, self._directory / "paths", self._log, self._progress.at, roots)

    def _is_packed(self, source):
        return isinstance(source, Source) and (source.sent or archive.is_archive(source.folder, self._spec.roots))

    def _unpacked(self, source):
        """The folder of an archive's images, and the only root that they have. It is gone when the build ends."""
        self._unpacking.mkdir(exist_ok=True)
        into = self._unpacking / str(len(list(self._unpacking.iterdir())))
        name = source.name or str(source.folder)
        self._log.call(into, name)
        roots = EVERYWHERE if source.sent else self._spec.roots
        return archive.unpack(source.folder, name, into, self._log, self._progress.at, roots), (into,)

    def _write_train(self, part, categories):
        """The part as written, and the label of each of `categories`: -1 for those without a readable image."""
        with RecordWriter(self._directory / "train.rec") as writer:
            part = self._write(part, writer, self._mean)
            label_of = self._readable_labels(part, categories)
            if -1 in label_of:
                writer.relabel(label_of.tolist(), self._progress.tick)
        return part.relabelled(label_of), label_of

    def _readable_labels(self, part, categories):
        """A label, without gaps, for each category of which an image could be read, -1 for the others.

        Labels that a text file gave stay. Raises BadInput if fewer than two categories have an image.
        """
        counts = part.count(len(categories))
        dropped = [name for name, count in zip(categories, counts, strict=True) if not count]
        kept = len(categories) - len(dropped)
        if not kept:
            raise BadInput(f"None of the images for training could be read. {self._log.first_skipped}.")
        if kept == 1:
            raise BadInput(
                f"Only one category has images for training that can be read; a classifier needs two. None of: "
                f"{named(dropped)}. {self._log.first_skipped}."
            )
        if dropped and self._spec.listed:
            self._log.warn(f"Without an image for training that can be read: {named(dropped)}.")
        if self._spec.listed:
            return np.arange(len(categories))
        if dropped:
            self._log.warn(f"Dropped, since no image for training could be read: {named(dropped)}.")
        for name in dropped:
            self._log.note(f"dropped: {name}")
        return np.where(counts > 0, np.cumsum(counts > 0) - 1, -1)

    def _write_other(self, part):
        with RecordWriter(self._directory / f"{part.name}.rec") as writer:
            written = self._write(part, writer)
        if not len(written.images):
            self._log.warn(f"The {part.name} split is empty: none of its images could be read.")
            for suffix in (".rec", ".idx"):
                (self._directory / part.name).with_suffix(suffix).unlink()
        return written

    def _write(self, part: Part, writer: RecordWriter, mean: RunningMean | None = None) -> Part:
        """Write a record of every readable image; the part that comes back has only those."""
        encoder = Encoder(part.listing, self._spec, mean is not None, self._white_level)
        starts = range(0, len(part.images), encoder.images_per_task)
        tasks = (part.images[start : start + encoder.images_per_task] for start in starts)
        readable = np.zeros(len(part.images), bool)
        position = 0
        with Pool(encoder, min(self._workers, len(starts))) as pool:
            for encoded in pool.map(tasks, self._progress.tick):
                images = part.images[position : position + len(encoded.payloads)]
                for offset, remark in encoded.remarks:
                    self._log.remark(part.listing.path(images[offset]), remark)
                for offset, (image, label) in enumerate(zip(images, part.labels(images), strict=True)):
                    if (payload := encoded.payloads[offset]) is None:
                        self._log.skip(part.listing.path(image), encoded.failed[offset])
                    else:
                        writer.write(label, payload)
                        readable[position + offset] = True
                if mean is not None:
                    mean.add(encoded.total, len(images) - len(encoded.failed))
                position += len(images)
                self._read += len(images)
                self._progress.at(self._read / self._planned)
        return replace(part, images=part.images[readable])

    def _listed(self, part, categories):
        """Write NAME.txt, a line "path label" for each record, in the order of the records."""
        with (self._directory / f"{part.name}.txt").open("wb") as file:
            for images, labels in part.blocks():
                paths = (self._log.shown(os.fsdecode(part.listing.path(image))) for image in images)
                file.writelines(
                    b"%s %d\n" % (os.fsencode(path), label) for path, label in zip(paths, labels, strict=True)
                )
                self._progress.tick()
        return Split(part.name, len(part.images), part.count(categories).tolist())

    def _summarise(self, categories, splits):
        self._log.note(f"{len(categories)} categories: {named(categories)}")
        for made in splits:
            self._log.note(
                f"{made.name}: {made.entries} images, {min(made.per_category)} to {max(made.per_category)} a category"
            )
        self._log.note(f"{self._log.skipped} images skipped")
        if self._log.skipped:
            self._log.note(self._log.skipped_in_words())
