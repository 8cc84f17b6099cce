"""Batches from images, read ahead on a thread of their own."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

from models_app.training.engines.base import NO_LABEL
from models_app.training.pixels import Images

BUFFERS = 3  # one with the engine, two ahead of it


@dataclass(frozen=True)
class Batch:
    """Images (uint8, batch×C×H×W) and labels (float32). Both are overwritten once the next batch is asked for."""

    images: np.ndarray
    labels: np.ndarray


def batches_per_epoch(images: int, batch_size: int) -> int:
    """The last batch of an epoch is filled up."""
    return math.ceil(images / batch_size)


def epoch_order(images: int, seed: int, epoch: int) -> np.ndarray:
    """The numbers of the images in the order of this epoch (from 0). It follows from its arguments alone."""
    return np.random.default_rng([seed, epoch]).permutation(images)


def training_batches(images: Images, batch_size: int, seed: int, start: int = 0) -> Iterator[Batch]:
    """Batches without end, from iteration `start` on; an epoch's last batch is filled up from the epoch's beginning."""
    return _read_ahead(images, batch_size, _training_numbers(len(images), batch_size, seed, start))


def validation_batches(images: Images, batch_size: int) -> Iterator[Batch]:
    """Every image once; what fills up the last batch is labelled NO_LABEL."""
    starts = range(0, len(images), batch_size)
    return _read_ahead(images, batch_size, (np.arange(i, min(i + batch_size, len(images))) for i in starts))


def _training_numbers(images: int, batch_size: int, seed: int, start: int) -> Iterator[np.ndarray]:
    per_epoch = batches_per_epoch(images, batch_size)
    epoch, first = divmod(start, per_epoch)
    while True:
        order = epoch_order(images, seed, epoch)
        for batch in range(first, per_epoch):
            yield order.take(range(batch * batch_size, (batch + 1) * batch_size), mode="wrap")
        epoch, first = epoch + 1, 0


def _read_ahead(images: Images, batch_size: int, numbers: Iterable[np.ndarray]) -> Iterator[Batch]:
    """Close the iterator, or exhaust it, to end its thread."""
    free: SimpleQueue[Batch | None] = SimpleQueue()
    ready: SimpleQueue[Batch | BaseException | None] = SimpleQueue()
    for _ in range(BUFFERS):
        free.put(Batch(np.zeros((batch_size, *images.shape), np.uint8), np.empty(batch_size, np.float32)))
    stop = threading.Event()
    reader = threading.Thread(target=_read, args=(images, numbers, free, ready, stop), name="read-ahead", daemon=True)
    reader.start()
    try:
        while (batch := ready.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield batch
            free.put(batch)
    finally:
        stop.set()
        free.put(None)  # wakes a reader that waits for a buffer
        reader.join()


def _read(
    images: Images, numbers: Iterable[np.ndarray], free: SimpleQueue, ready: SimpleQueue, stop: threading.Event
) -> None:
    """Fill free buffers until told to stop or out of numbers; then None is put into `ready`, or what went wrong."""
    try:
        for chosen in numbers:
            batch = free.get()
            if stop.is_set():
                return
            images.read(chosen, batch.images[: len(chosen)], batch.labels[: len(chosen)])
            batch.labels[len(chosen) :] = NO_LABEL
            ready.put(batch)
        ready.put(None)
    except BaseException as error:  # noqa: BLE001  raised again by the thread that asks for the batch
        ready.put(error)
