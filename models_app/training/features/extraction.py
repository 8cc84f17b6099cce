"""Computes the features of a split with ONNX Runtime, on all cores, and writes them into the file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from datasets.imagedb.pool import in_order
from models_app.training.data.pixel_file import HEADER_BYTES, LABEL_BYTES, write_at
from models_app.training.features.backbone import RunningBackbone
from models_app.training.features.fixed_views import FixedViews
from models_app.training.features.passes import PassProgress

BATCH = 4  # images of a run; runs of several threads with few images take less time than long runs of all threads


class Extraction:
    """Writes the features of all images into an open file: labels from HEADER_BYTES on, then the features.

    A batch is computed by one thread, so the features do not depend on the number of threads.
    """

    def __init__(self, views: FixedViews, size: int, running: RunningBackbone, descriptor: int) -> None:
        self._views = views
        self._size = size
        self._running = running
        self._descriptor = descriptor
        self._images = len(views.records)
        self._label_bytes = LABEL_BYTES * math.prod(views.records.layout.label_shape)
        self._start = HEADER_BYTES + self._images * self._label_bytes

    def run(self, threads: int, progress: PassProgress) -> None:
        """Compute all features on so many threads. Raises any exception of progress.tick()."""
        with ThreadPoolExecutor(threads, "features") as pool:
            for computed in in_order(pool, self._compute, _batches(self._images), 2 * threads):
                progress.report(computed)
                progress.tick()

    def _compute(self, numbers: range) -> int:
        """Compute and write all views of these images; returns how many these are."""
        features = np.empty((len(numbers), self._views.count, self._size), np.float32)
        for view in range(self._views.count):
            images, labels = self._views.read(numbers, view)
            features[:, view] = self._running.run(images)
        write_at(self._descriptor, labels.data.cast("B"), HEADER_BYTES + numbers.start * self._label_bytes)
        place = self._start + numbers.start * self._views.count * self._size * features.itemsize
        write_at(self._descriptor, features.data.cast("B"), place)
        return len(numbers) * self._views.count


def _batches(images: int) -> Iterator[range]:
    for first in range(0, images, BATCH):
        yield range(first, min(first + BATCH, images))
