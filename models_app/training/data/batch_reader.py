"""Batches from images, read ahead on a thread of their own."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

from models_app.training.data.crops import Window
from models_app.training.data.pixels import Images
from models_app.training.engines.interface import NO_LABEL

BUFFERS = 3  # one with the engine, two ahead of it


@dataclass(frozen=True)
class Batch:
    """Images as the network takes them (uint8, batch×C×H×W) and labels (float32, batch and the shape of a label).

    Both are overwritten once the next batch is asked for.
    """

    images: np.ndarray
    labels: np.ndarray


def batches_per_epoch(images: int, batch_size: int) -> int:
    """The last batch of an epoch is filled up."""
    return math.ceil(images / batch_size)


def epoch_order(images: int, seed: int, epoch: int) -> np.ndarray:
    """The numbers of the images in the order of this epoch (from 0). It follows from its arguments alone."""
    return np.random.default_rng([seed, epoch]).permutation(images)


def training_batches(images: Images, batch_size: int, seed: int, start: int = 0) -> Iterator[Batch]:
    """Batches without end, from iteration `start` on; an epoch's last batch is filled up from the epoch's beginning.

    Crops and flips are drawn for each place in an epoch, by the seed.
    """
    return _read_ahead(images, batch_size, _training_parts(images, batch_size, seed, start))


def validation_batches(images: Images, batch_size: int) -> Iterator[Batch]:
    """Every image once, its middle; what fills up the last batch is labelled NO_LABEL."""
    starts = range(0, len(images), batch_size)
    numbers = (np.arange(i, min(i + batch_size, len(images))) for i in starts)
    return _read_ahead(images, batch_size, ((chosen, images.layout.centre(len(chosen))) for chosen in numbers))


Part = tuple[np.ndarray, Sequence[Window] | None]  # the numbers of a batch's images, and what of them is taken


def _training_parts(images: Images, batch_size: int, seed: int, start: int) -> Iterator[Part]:
    per_epoch = batches_per_epoch(len(images), batch_size)
    epoch, first = divmod(start, per_epoch)
    while True:
        order = epoch_order(len(images), seed, epoch)
        for place in range(first * batch_size, per_epoch * batch_size, batch_size):
            chosen = order.take(range(place, place + batch_size), mode="wrap")
            yield chosen, images.layout.at_random(seed, epoch, place, batch_size)
        epoch, first = epoch + 1, 0


def _read_ahead(images: Images, batch_size: int, parts: Iterable[Part]) -> Iterator[Batch]:
    """Close the iterator, or exhaust it, to end its thread."""
    free: SimpleQueue[Batch | None] = SimpleQueue()
    ready: SimpleQueue[Batch | BaseException | None] = SimpleQueue()
    pixels, labels = (batch_size, *images.layout.input_shape), (batch_size, *images.layout.label_shape)
    for _ in range(BUFFERS):
        free.put(Batch(np.zeros(pixels, np.uint8), np.empty(labels, np.float32)))
    stop = threading.Event()
    reader = threading.Thread(target=_read, args=(images, parts, free, ready, stop), name="read-ahead", daemon=True)
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


def _read(images: Images, parts: Iterable[Part], free: SimpleQueue, ready: SimpleQueue, stop: threading.Event) -> None:
    """Fill free buffers until told to stop or out of parts; then None is put into `ready`, or what went wrong."""
    try:
        for chosen, windows in parts:
            batch = free.get()
            if stop.is_set():
                return
            images.read(chosen, batch.images[: len(chosen)], batch.labels[: len(chosen)], windows)
            batch.labels[len(chosen) :] = NO_LABEL
            ready.put(batch)
        ready.put(None)
    except BaseException as error:  # noqa: BLE001  raised again by the thread that asks for the batch
        ready.put(error)
