"""Yields batches of images; a thread of its own reads ahead."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

from models_app.training.augmentation.augmenter import Augmenter
from models_app.training.data.crops import Window
from models_app.training.data.pixels import Images
from models_app.training.engines.interface import NO_LABEL

BUFFERS = 3  # one in use by the engine, two read ahead


@dataclass(frozen=True)
class Batch:
    """Images as the network takes them (uint8, batch×C×H×W, or float32 for features) and labels (float32, batch × label
    shape).

    Both arrays are overwritten when the next batch is taken from the iterator.
    """

    images: np.ndarray
    labels: np.ndarray


def batches_per_epoch(images: int, batch_size: int) -> int:
    """The number of batches of an epoch; the last one is filled up to the batch size."""
    return math.ceil(images / batch_size)


def epoch_order(images: int, seed: int, epoch: int) -> np.ndarray:
    """The image numbers in the order of this epoch (from 0). The order depends on the arguments only."""
    return np.random.default_rng([seed, epoch]).permutation(images)


def training_batches(
    images: Images,
    batch_size: int,
    seed: int,
    start: int = 0,
    augmenter: Augmenter | None = None,
    rows: slice | None = None,
) -> Generator[Batch, None, None]:
    """Endless batches from iteration `start` on. An epoch's last batch is filled up with the epoch's first images.

    Crop, flip and augmentation of an image depend on the seed, the epoch and the image's position in it. `rows`: only
    these rows of each batch, which then are as they would be in the whole batch.
    """
    own = rows or slice(0, batch_size)
    parts = _training_parts(images, batch_size, seed, start, augmenter, own)
    return _read_ahead(images, own.stop - own.start, parts, augmenter)


def validation_batches(images: Images, batch_size: int, rows: slice | None = None) -> Generator[Batch, None, None]:
    """Batches of the middle crop of every image, once. The padding of the last batch has the label NO_LABEL. `rows`:
    only these rows of each batch; there are as many batches for any rows."""
    own = rows or slice(0, batch_size)
    starts = range(0, len(images), batch_size)
    numbers = (np.arange(i, min(i + batch_size, len(images)))[own] for i in starts)
    parts = (_plain(images, chosen, images.layout.centre(len(chosen))) for chosen in numbers)
    return _read_ahead(images, own.stop - own.start, parts)


class BatchSource(NamedTuple):
    """A batch to be read: its number of images, and the function that reads them and their labels into arrays."""

    images: int
    read: Callable[[np.ndarray, np.ndarray], None]


def _plain(images: Images, chosen: np.ndarray, windows: Sequence[Window] | None) -> BatchSource:
    return BatchSource(len(chosen), partial(images.read, chosen, windows=windows))


def _training_parts(
    images: Images, batch_size: int, seed: int, start: int, augmenter: Augmenter | None, own: slice
) -> Iterator[BatchSource]:
    per_epoch = batches_per_epoch(len(images), batch_size)
    epoch, first = divmod(start, per_epoch)
    while True:
        order = epoch_order(len(images), seed, epoch)
        for place in range(first * batch_size, per_epoch * batch_size, batch_size):
            chosen = order.take(range(place, place + batch_size), mode="wrap")
            if augmenter:
                yield BatchSource(own.stop - own.start, partial(augmenter.read, images, chosen, epoch, place, rows=own))
            else:
                windows = images.layout.at_random(seed, epoch, place + own.start, own.stop - own.start)
                yield _plain(images, chosen[own], windows)
        epoch, first = epoch + 1, 0


def _read_ahead(
    images: Images, batch_size: int, parts: Iterable[BatchSource], augmenter: Augmenter | None = None
) -> Generator[Batch, None, None]:
    """Read batches on a thread of their own. Close or exhaust the iterator to end the thread."""
    free: SimpleQueue[Batch | None] = SimpleQueue()
    ready: SimpleQueue[Batch | BaseException | None] = SimpleQueue()
    label_shape = augmenter.label_shape if augmenter else images.layout.label_shape
    pixels, labels = (batch_size, *images.layout.input_shape), (batch_size, *label_shape)
    for _ in range(BUFFERS):
        free.put(Batch(np.zeros(pixels, images.layout.dtype), np.empty(labels, np.float32)))
    stop = threading.Event()
    reader = threading.Thread(target=_read, args=(parts, free, ready, stop), name="read-ahead", daemon=True)
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


def _read(parts: Iterable[BatchSource], free: SimpleQueue, ready: SimpleQueue, stop: threading.Event) -> None:
    """Fill free buffers until `stop` is set or no part is left; then put None, or the exception, into `ready`."""
    try:
        for images, read in parts:
            batch = free.get()
            if stop.is_set():
                return
            if images:
                read(batch.images[:images], batch.labels[:images])
            batch.labels[images:] = NO_LABEL
            ready.put(batch)
        ready.put(None)
    except BaseException as error:  # noqa: BLE001  raised again by the thread that takes the batch
        ready.put(error)
