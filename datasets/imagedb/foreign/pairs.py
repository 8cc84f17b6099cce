"""Reads the records of build_prebuilt(): images with labels of any shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.store.records import RecordReader, damaged


def labels_path(records: Path) -> Path:
    """The path of the label records, if labels are images."""
    return records.with_name(f"{records.stem}_labels.rec")


class Pairs:
    """Images and labels by number. `label_shape` is (C, H, W). Safe for threads and forked children.

    Raises DamagedRecords.
    """

    def __init__(self, records: Path, label_shape: tuple[int, ...]):
        self.label_shape = tuple(label_shape)
        self._images = RecordReader(records)
        self._labels = RecordReader(labels_path(records)) if labels_path(records).exists() else None

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (uint8, H×W×C, RGB) and label (float32, C×H×W; if it is an image, values from 0 to 255)."""
        label, payload = self._images.labels(number)
        if self._labels is not None:
            label = decode_record(self._labels[number][1]).transpose(2, 0, 1).astype(np.float32)
        if label.size != np.prod(self.label_shape):
            raise damaged(self._images.path, f"is damaged: the label of record {number} has another shape.")
        return decode_record(payload), label.reshape(self.label_shape)

    def __enter__(self) -> Pairs:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self._images.close()
        if self._labels is not None:
            self._labels.close()
