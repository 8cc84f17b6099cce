"""Yields batches of images; a thread of its own reads ahead."""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

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


def training_batches(images: Images, batch_size: int, seed: int, start: int = 0) -> Generator[Batch, None, None]:
    """Endless batches from iteration `start` on. An epoch's last batch is filled up with the epoch's first images.

    Crop and flip of an image depend on the seed, the epoch and the image's position in it.
    """
    return _read_ahead(images, batch_size, _training_parts(images, batch_size, seed, start))


def validation_batches(images: Images, batch_size: int) -> Generator[Batch, None, None]:
    """Batches of the middle crop of every image, once. The padding of the last batch has the label NO_LABEL."""
    starts = range(0, len(images), batch_size)
    numbers = (np.arange(i, min(i + batch_size, len(images))) for i in starts)
    return _read_ahead(images, batch_size, ((chosen, images.layout.centre(len(chosen))) for chosen in numbers))


Part = tuple[np.ndarray, Sequence[Window] | None]  # image numbers of a batch, and the window of each


def _training_parts(images: Images, batch_size: int, seed: int, start: int) -> Iterator[Part]:
    per_epoch = batches_per_epoch(len(images), batch_size)
    epoch, first = divmod(start, per_epoch)
    while True:
        order = epoch_order(len(images), seed, epoch)
        for place in range(first * batch_size, per_epoch * batch_size, batch_size):
            chosen = order.take(range(place, place + batch_size), mode="wrap")
            yield chosen, images.layout.at_random(seed, epoch, place, batch_size)
        epoch, first = epoch + 1, 0


def _read_ahead(images: Images, batch_size: int, parts: Iterable[Part]) -> Generator[Batch, None, None]:
    """Read batches on a thread of their own. Close or exhaust the iterator to end the thread."""
    free: SimpleQueue[Batch | None] = SimpleQueue()
    ready: SimpleQueue[Batch | BaseException | None] = SimpleQueue()
    pixels, labels = (batch_size, *images.layout.input_shape), (batch_size, *images.layout.label_shape)
    for _ in range(BUFFERS):
        free.put(Batch(np.zeros(pixels, images.layout.dtype), np.empty(labels, np.float32)))
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
    """Fill free buffers until `stop` is set or no part is left; then put None, or the exception, into `ready`."""
    try:
        for chosen, windows in parts:
            batch = free.get()
            if stop.is_set():
                return
            images.read(chosen, batch.images[: len(chosen)], batch.labels[: len(chosen)], windows)
            batch.labels[len(chosen) :] = NO_LABEL
            ready.put(batch)
        ready.put(None)
    except BaseException as error:  # noqa: BLE001  raised again by the thread that takes the batch
        ready.put(error)
