"""Makes the report of a built dataset: looks at its images, and writes what it finds into a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datasets.imagedb.store.staging import staged
from datasets.report import near_copies
from datasets.report.advice import about_small_images
from datasets.report.copy_groups import group_copies
from datasets.report.findings import Findings, write_findings
from datasets.report.image_map import layout, map_files
from datasets.report.image_pass import ImagePass
from datasets.report.image_set import ImageSet
from datasets.report.labels import confident_learning, linear_probe
from datasets.report.marks import find_marks
from datasets.report.report_summary import summary_of
from datasets.report.stored_measures import write_measures
from datasets.report.unusual_images import unusual
from datasets.report.vectors import neighbours, projection
from datasets.report.vectors.feature_network import open_network
from datasets.report.vectors.neighbours import Neighbours
from datasets.report.vectors.vector_file import BLOCK, VectorFile
from digits_project.common.errors import DamagedFile
from digits_project.common.resources import usable_cores

FORMAT = 4  # raise it when a report has more, or the same images no longer have the same report
DIMENSIONS = 256  # of the projected features
NEIGHBOURS = 5  # of an image that are compared with it closely
MIN_COSINE = 0.75  # of projected features of near copies
MIN_FOR_LABELS = 50  # images, with fewer no label error is looked for
_PASS_SHARE, _NEIGHBOURS_SHARE, _MAP_SHARE = 0.75, 0.85, 0.99  # of the progress


@dataclass(frozen=True)
class ReportRequest:
    """A built dataset: its folder, its splits, its categories' names (none for labels of another kind), and the height
    and width of its images. sizes: of the images' files, if they are known."""

    directory: Path
    splits: Sequence[str]
    categories: Sequence[str]
    shape: tuple[int, int]
    threads: int = 0  # 0: as many as there are cores


def make_report(request: ReportRequest, folder: Path, report: Callable[[float], None]) -> dict[str, Any]:
    """Write the findings into `folder`, and return the summary, as JSON values.

    `report(fraction)` is called several times a second; an exception from it stops the work at once. After any
    exception no file of the report is left. Raises DamagedFile.
    """
    started = time.monotonic()
    with staged(folder) as aside, ImageSet(request.directory, request.splits) as images:
        if not len(images):
            raise DamagedFile(f"{request.directory.name} has no records. Build the dataset again.")
        summary = _Report(request, images, aside, report).run()
    return summary | {"seconds": round(time.monotonic() - started, 1)}


class _Report:
    """One report, made in a staging folder."""

    def __init__(self, request: ReportRequest, images: ImageSet, aside: Path, report: Callable[[float], None]) -> None:
        self._request, self._images, self._aside, self._report = request, images, aside, report
        self._fraction = 0.0

    def run(self) -> dict[str, Any]:
        backbone, why_none = open_network()
        threads = self._request.threads or usable_cores()
        with ExitStack() as files:
            seen = files.enter_context(ImagePass(self._images, backbone, self._aside))
            seen.run(threads, lambda fraction: self._at(_PASS_SHARE * fraction))
            found = self._compare(seen, files)
            write_measures(self._aside, seen.measures, self._images.splits, self._images.starts)
        for name in ("thumbnails", "features", "vectors"):
            (self._aside / name).unlink(missing_ok=True)
        write_findings(self._aside, self._images, self._request.directory, found)
        network = backbone.network.title if backbone else ""
        summary = summary_of(found, self._images, self._request.categories)
        summary["sentences"] += about_small_images(int((~self._are_large).sum()))
        sizes = np.diff(self._images.starts).tolist()
        summary["splits"] = [
            {"split": name, "images": size} for name, size in zip(self._images.splits, sizes, strict=True)
        ]
        return summary | {"format": FORMAT, "network": network, "why_no_network": why_none}

    def _compare(self, seen: ImagePass, files: ExitStack) -> Findings:
        categories = seen.measures["category"] if self._request.categories else np.zeros(len(self._images), np.int32)
        order = np.argsort(categories, kind="stable").astype(np.int32)
        around, vectors = None, None
        if seen.features is not None:
            vectors = files.enter_context(self._projected(seen.features, order))
            around = neighbours.find(vectors, categories[order], NEIGHBOURS, MIN_COSINE, self._comparing)
        near = self._near(seen, around, order)
        groups, roots = group_copies(seen.measures["digest"], near, categories, self._images.split_numbers())
        distances = None
        if around is not None:
            distances = np.empty(len(order), np.float32)
            distances[order] = 1 - around.in_category
        strange = list(unusual(seen.measures, self._images.file_sizes(), self._request.shape, distances))
        errors, points = None, np.zeros(len(order), map_files.POINTS)
        points["category"], points["likelier"] = categories, -1
        if vectors is not None and self._has_labels():
            errors = self._label_errors(vectors, points, order, roots)
        if vectors is not None:
            self._write_map(vectors, points, order)
        marks = find_marks(seen.thumbnails, categories, len(self._request.categories), self._tick)
        return Findings(categories, roots, groups, strange, errors, marks)

    def _has_labels(self) -> bool:
        return len(self._request.categories) > 1 and len(self._images) >= MIN_FOR_LABELS

    def _projected(self, features: VectorFile, order: np.ndarray) -> VectorFile:
        rows = np.empty_like(order)
        rows[order] = np.arange(len(order))
        fitted = projection.fit(features, DIMENSIONS, self._tick)
        vectors = VectorFile(self._aside / "vectors", len(order), fitted.directions.shape[1])
        projection.project(features, fitted, rows, vectors)
        return vectors

    def _near(self, seen: ImagePass, around: Neighbours | None, order: np.ndarray) -> np.ndarray:
        pairs = near_copies.candidates(seen.measures["hash"], around, order)
        contrast, digests = seen.measures["contrast"], seen.measures["digest"]
        pairs = pairs[self._are_large[pairs].all(axis=1)]
        pairs = pairs[(contrast[pairs] >= near_copies.MIN_CONTRAST).all(axis=1)]
        pairs = pairs[digests[pairs[:, 0]] != digests[pairs[:, 1]]]
        return pairs[near_copies.confirmed(pairs, seen.thumbnails, self._tick) >= near_copies.MIN_CORRELATION]

    @cached_property
    def _are_large(self) -> np.ndarray:
        """Whether each image holds enough to look for near copies of it: bool, by its file and by the dataset."""
        sizes = self._images.file_sizes()
        sides = np.full(len(self._images), min(self._request.shape))
        if sizes is not None:
            sides = np.where((sizes > 0).all(axis=1), np.minimum(sides, sizes.min(axis=1)), sides)
        return sides >= near_copies.MIN_SIDE

    def _label_errors(
        self, vectors: VectorFile, points: np.ndarray, order: np.ndarray, roots: np.ndarray
    ) -> confident_learning.LabelErrors:
        """The candidates; what the classifiers say of each image is written to its point."""
        count, categories = len(self._request.categories), points["category"]
        folds, labels = linear_probe.folds_of(categories, roots)[order], categories[order]
        probe = linear_probe.fit(vectors, labels, folds, count, self._tick)

        def blocks():
            for first, block in vectors.blocks():
                of_block = slice(first, first + len(block))
                probabilities = probe.probabilities(block, folds[of_block])
                points["likelier"][order[of_block]] = probabilities.argmax(axis=1)
                points["probability"][order[of_block]] = probabilities.max(axis=1)
                yield labels[of_block], probabilities
                self._tick()

        return confident_learning.find_errors(blocks, count).renumbered(order)

    def _write_map(self, vectors: VectorFile, points: np.ndarray, order: np.ndarray) -> None:
        rows = np.empty_like(order)
        rows[order] = np.arange(len(order))

        def blocks():
            return ((first, map_files.unit(block)) for first, block in vectors.blocks())

        def in_order_of_images():
            for first in range(0, len(rows), BLOCK):
                yield map_files.unit(vectors.rows_of(rows[first : first + BLOCK]))

        chosen = layout.sample_of(len(order))  # the rows are in the order of categories, so each has its share
        sample = map_files.unit(vectors.rows_of(chosen))
        places = layout.lay_out(sample, chosen, len(order), blocks, self._laying_out)
        points["x"][order], points["y"][order] = places.T
        map_files.write(self._aside, points, in_order_of_images(), min(map_files.SIZE, vectors.size))

    def _laying_out(self, fraction: float) -> None:
        self._at(_NEIGHBOURS_SHARE + (_MAP_SHARE - _NEIGHBOURS_SHARE) * fraction)

    def _comparing(self, fraction: float) -> None:
        self._at(_PASS_SHARE + (_NEIGHBOURS_SHARE - _PASS_SHARE) * fraction)

    def _at(self, fraction: float) -> None:
        self._fraction = fraction
        self._tick()

    def _tick(self) -> None:
        self._report(self._fraction)
