"""One pass over the images: measures each, and writes its thumbnail and its features to files."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from datasets.imagedb.pool import in_order
from datasets.report.image_measures import MEASURES, THUMBNAIL_BYTES, measure
from datasets.report.image_set import ImageSet
from datasets.report.vectors.feature_network import LoadedNetwork
from datasets.report.vectors.vector_file import VectorFile

NICENESS = 10  # of the threads; Linux has one for each. Trainings and predictions come first
BATCH = 16  # images of a run of the network, on one thread
_WAITING = 2  # batches per thread


class ImagePass:
    """Measures the images of a set. Use it in a with block, which closes the files; they lie in `folder`.

    measures: a row of MEASURES for each image, of 44 bytes.
    thumbnails, features: their files; `features` is None without a network.
    """

    def __init__(self, images: ImageSet, backbone: LoadedNetwork | None, folder: Path) -> None:
        self._images, self._backbone = images, backbone
        self.measures = np.zeros(len(images), MEASURES)
        with ExitStack() as opened:
            thumbnails = VectorFile(folder / "thumbnails", len(images), THUMBNAIL_BYTES, "u1")
            self.thumbnails = opened.enter_context(thumbnails)
            self.features: VectorFile | None = None
            if backbone:
                features = VectorFile(folder / "features", len(images), backbone.network.size)
                self.features = opened.enter_context(features)
            self._files = opened.pop_all()

    def __enter__(self) -> ImagePass:
        return self

    def __exit__(self, *_) -> None:
        self._files.close()

    def run(self, threads: int, report: Callable[[float], None]) -> None:
        """Measure all images on so many threads. `report(fraction)` can raise to stop. Raises BadImage."""
        count = len(self._images)
        batches = (range(first, min(first + BATCH, count)) for first in range(0, count, BATCH))
        with ThreadPoolExecutor(threads, "report", initializer=partial(os.nice, NICENESS)) as pool:
            for done in in_order(pool, self._measure, batches, _WAITING * threads):
                report(done / count)

    def _measure(self, numbers: range) -> int:
        """Measure these images; returns the end of the range."""
        thumbnails, prepared = [], []
        for number in numbers:
            category, pixels = self._images.read(number)
            row = self.measures[number]
            row["category"] = category
            thumbnails.append(measure(pixels, row).reshape(-1))
            if self._backbone:
                prepared.append(self._backbone.prepared(pixels))
        self.thumbnails.write(numbers.start, np.stack(thumbnails))
        if self._backbone and self.features:
            self.features.write(numbers.start, self._backbone.features(np.stack(prepared)))
        return numbers.stop
