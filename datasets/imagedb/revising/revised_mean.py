"""The mean image of a revision's training split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.revising.changes import RevisedSplit
from datasets.imagedb.store.records import RecordReader

# The stored mean is float32. Of fewer images, their sum, a whole number below 2**23, can be had back without an error.
_MAX_EXACT = 2**23 // 255


def revised_mean(source: Path, train: RevisedSplit, tick: Callable[[], None]) -> np.ndarray:
    """The mean of the images that are left, float64, H×W×C.

    As few images as possible are decoded: those that were left out, or those that are left.
    """
    path = source / "mean.npy"
    if not path.exists() or len(train.excluded) > train.entries:
        return _sum(source, np.flatnonzero(train.is_kept).tolist(), tick) / train.entries
    mean = np.load(path, allow_pickle=False).astype(np.float64).transpose(1, 2, 0)
    if train.is_kept.all():
        return mean
    total = mean * len(train.before)
    if len(train.before) < _MAX_EXACT:
        total = np.rint(total)
    total -= _sum(source, train.excluded.tolist(), tick)
    return np.clip(total / train.entries, 0, 255)  # JPEG changes images a little, so a sum can be out of the range


def _sum(source: Path, records: Iterable[int], tick: Callable[[], None]) -> np.ndarray:
    """The sum of some images of the training split, float64, H×W×C."""
    total: np.ndarray = np.zeros((), np.float64)
    with RecordReader(source / "train.rec") as reader:
        for record in records:
            total = total + decode_record(reader[record][1])
            tick()
    return total
