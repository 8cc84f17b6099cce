"""Runs a snapshot on images with ONNX Runtime. Plain Python and NumPy, no training engine."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.imagedb.images.resize import InputResize
from digits_project.common.onnx_runtime import MAX_IMAGES_A_RUN, open_session, running_provider
from digits_project.common.resources import usable_cores
from inference.engine.joint_runs import JointRuns

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# These and MAX_IMAGES_A_RUN limit the memory of one run, by the bytes of its input. ResNet-18 at 224×224 takes 715 MiB
# for 64 images at once and 290 MiB for 8; on a CPU both take the same time for an image.
MAX_BYTES_A_RUN = 64 << 20
MAX_BYTES_ON_CPU = 5 << 20
BYTES_A_VALUE = 4


class Predictor:
    """A loaded model.onnx. Threads can share it; concurrent requests run as one batch.

    `most_images` is the largest batch for one call, `source` the name of the network's input, `metadata` the metadata
    that training wrote, `resize` how images are scaled before they enter the network (None: not at all), `runs_on` what
    runs it ("cpu" or a name in PROVIDERS). `threads` None: the number of usable cores. `opener` loads the file, by
    default on the CPU.
    """

    def __init__(
        self,
        onnx_file: Path,
        threads: int | None = None,
        opener: Callable[[Path, int | None], InferenceSession] = open_session,
    ):
        self._session = opener(onnx_file, threads)
        self.runs_on = running_provider(self._session)
        taken = self._session.get_inputs()[0]
        self.source = taken.name
        self._names = [output.name for output in self._session.get_outputs()]
        self.metadata = self._session.get_modelmeta().custom_metadata_map
        self.resize = InputResize.from_properties(self.metadata)
        # Its threads start with the first batch, and end when the predictor is freed.
        self._pool = ThreadPoolExecutor(threads or usable_cores(), "resize") if self.resize else None
        most_bytes = MAX_BYTES_ON_CPU if self.runs_on == "cpu" else MAX_BYTES_A_RUN
        self.most_images = min(MAX_IMAGES_A_RUN, max(1, most_bytes // (BYTES_A_VALUE * _size(taken.shape[1:]))))
        # No method of self: a predictor that the cache drops is freed at once, not when the collector finds a cycle.
        self._runs = JointRuns(partial(_run, self._session, self._names, self.source), self.most_images)

    def scores(self, images: np.ndarray) -> np.ndarray:
        """The last output, float32 N×categories; of a classifier, the scores of an image sum to 1."""
        return self.outputs(images)[self._names[-1]].reshape(len(images), -1)

    def outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """{name: float32 N×…} of all outputs for images, uint8 N×H×W×C of the dataset's size, as imagedb.images reads
        them."""
        return dict(zip(self._names, self._runs.outputs(self.batch(images)), strict=True))

    def batch(self, images: np.ndarray) -> np.ndarray:
        """The network's input, float32 N×C×H×W, for images, uint8 N×H×W×C."""
        planes = images.transpose(0, 3, 1, 2)
        if self.resize and self._pool:
            planes = _scaled(planes, self.resize, self._pool)
        return np.ascontiguousarray(planes, dtype=np.float32)


def _scaled(images: np.ndarray, resize: InputResize, pool: ThreadPoolExecutor) -> np.ndarray:
    if len(images) == 1:  # without the way to another thread and back
        return resize.middle(images[0])[np.newaxis]
    return np.stack(list(pool.map(resize.middle, images)))


def _run(session: InferenceSession, names: list[str], source: str, batch: np.ndarray) -> list[np.ndarray]:
    return session.run(names, {source: batch})


def ranked(scores: np.ndarray, categories: list[str], most: int = 5) -> list[tuple[str, float]]:
    """The `most` best categories of an image, best first, with percentages (0 to 100, two decimals)."""
    best = np.argsort(-scores, kind="stable")[:most]
    return [(categories[i], percent(scores[i])) for i in best]


def percent(score: float) -> float:
    """A confidence of 0 to 1 as a percentage with two decimals."""
    return round(100 * float(score), 2)


def plain(values: np.ndarray) -> list:
    """Nested lists for JSON; NaN and infinity, which JSON lacks, become null."""
    finite = np.isfinite(values)
    return (values if finite.all() else np.where(finite, values, np.array(None))).tolist()


def _size(shape: list[int]) -> int:
    return int(np.prod(shape))
