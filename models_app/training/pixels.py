"""The images of a split as arrays: decoded from its records, or read from a file that holds them decoded.

Decoding costs 20 to 1000 µs an image, reading decoded pixels 2. So a split that takes at most MAX_BYTES is decoded
once, into NAME.pixels beside NAME.rec, and every training on that dataset reads it there. It is read by position, not
mapped: the process does not grow with the split.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from datasets.imagedb.images import decode_record
from datasets.imagedb.records import RecordReader
from digits_project.errors import BadInput
from models_app.training.partial import partial

logger = logging.getLogger(__name__)

MAX_BYTES = 1 << 30
HEADER_BYTES = 4096
CHUNK_BYTES = 8 << 20
LOCK_POLL_SECONDS = 0.2

Shape = tuple[int, int, int]  # channels, height, width


class Images(Protocol):
    """Numbered images of one shape with their labels."""

    shape: Shape

    def __len__(self) -> int: ...

    def read(self, numbers: Sequence[int], images: np.ndarray, labels: np.ndarray) -> None:
        """Put the images of these numbers into `images` (uint8, n×C×H×W) and `labels` (float32, n)."""

    def close(self) -> None: ...


class Records:
    """Images decoded whenever they are read, on `threads` threads."""

    def __init__(self, path: Path, shape: Shape, categories: int, threads: int) -> None:
        self.path = path
        self.shape = shape
        self._categories = categories
        self._reader = RecordReader(path)
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def __len__(self) -> int:
        return len(self._reader)

    def read(self, numbers: Sequence[int], images: np.ndarray, labels: np.ndarray) -> None:
        share = math.ceil(len(numbers) / self._threads)
        parts = [slice(start, start + share) for start in range(0, len(numbers), share)]
        for _ in self._pool.map(lambda part: self._decode(numbers[part], images[part], labels[part]), parts):
            pass  # to pass on what a thread raised

    def _decode(self, numbers: Sequence[int], images: np.ndarray, labels: np.ndarray) -> None:
        channels, height, width = self.shape
        for place, number in enumerate(numbers):
            label, payload = self._reader[int(number)]
            pixels = decode_record(payload)
            if pixels.shape != (height, width, channels):
                found = "×".join(map(str, pixels.shape))
                raise BadInput(
                    f"image {number} of {self.path} is {found}, but the network takes {height}×{width}×{channels} "
                    "(height×width×channels)"
                )
            if not (0 <= label < self._categories and label == int(label)):
                known = f"there are {self._categories} categories"
                raise BadInput(f"image {number} of {self.path} has label {label:g}, but {known}")
            images[place] = pixels.transpose(2, 0, 1)
            labels[place] = label

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._reader.close()


class PixelFile:
    """Decoded images at rest: a header, all labels (float32), then the pixels (uint8, N×C×H×W)."""

    def __init__(self, path: Path, identity: dict) -> None:
        """Open the file if it holds what `identity` says; else FileNotFoundError."""
        count, *shape = identity["shape"]
        self.shape: Shape = tuple(shape)
        self._image_bytes = math.prod(shape)
        self._start = HEADER_BYTES + 4 * count
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        whole = self._start + count * self._image_bytes
        if (
            os.pread(self._descriptor, HEADER_BYTES, 0) != header(identity)
            or os.fstat(self._descriptor).st_size != whole
        ):
            os.close(self._descriptor)
            raise FileNotFoundError(f"{path} is of other records")
        self._labels = np.frombuffer(os.pread(self._descriptor, 4 * count, HEADER_BYTES), np.float32)

    def __len__(self) -> int:
        return len(self._labels)

    def read(self, numbers: Sequence[int], images: np.ndarray, labels: np.ndarray) -> None:
        np.take(self._labels, numbers, out=labels)
        size, start = self._image_bytes, self._start
        for number, image in zip(numbers, images, strict=True):
            if os.preadv(self._descriptor, [image], start + int(number) * size) != size:
                raise OSError(f"the decoded images end before image {number}")

    def close(self) -> None:
        os.close(self._descriptor)


def open_images(path: Path, shape: Shape, categories: int, threads: int, tick: Callable[[], None]) -> Images:
    """The split in this record file, decoded once if it is small; meanwhile `tick` is called, which may raise Aborted.

    Raises BadInput for an image of another shape (channels, height, width), or a label that is not below `categories`:
    at once, or when it is read if the split is too large.
    """
    records = Records(path, shape, categories, threads)
    if not len(records):
        records.close()
        raise BadInput(f"{path} holds no images")
    if len(records) * math.prod(shape) > MAX_BYTES:
        return records
    try:
        decoded = _decoded_once(records, tick)
    except OSError as error:
        logger.warning("%s can't be kept decoded (%s); decoding its images each time", path, error)
        return records
    except BaseException:
        records.close()
        raise
    records.close()
    return decoded


def header(identity: dict) -> bytes:
    """What a pixel file begins with."""
    return json.dumps(identity).encode().ljust(HEADER_BYTES)


def _decoded_once(records: Records, tick: Callable[[], None]) -> PixelFile:
    status = records.path.stat()
    identity = {"shape": [len(records), *records.shape], "bytes": status.st_size, "modified_ns": status.st_mtime_ns}
    path = records.path.with_suffix(".pixels")
    try:
        return PixelFile(path, identity)
    except FileNotFoundError:
        pass
    with _only_writer(path.with_name(f".{path.name}.part"), tick) as (descriptor, part):
        try:
            return PixelFile(path, identity)  # written while this process waited
        except FileNotFoundError:
            logger.info("decoding %d images of %s", len(records), records.path)
        _write(descriptor, records, identity, tick)
        part.rename(path)
    return PixelFile(path, identity)


@contextmanager
def _only_writer(path: Path, tick: Callable[[], None]) -> Iterator[tuple[int, Path]]:
    """Open `path` for writing, alone: another trainer on the same dataset waits. What a dead one left is reused."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(descriptor, tick)
            if _is_at(path, descriptor):
                with partial(path):
                    yield descriptor, path
                return
        finally:
            os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """False once the writer that held the lock before has renamed or removed the file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _lock(descriptor: int, tick: Callable[[], None]) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tick()
            time.sleep(LOCK_POLL_SECONDS)


def _write(descriptor: int, records: Records, identity: dict, tick: Callable[[], None]) -> None:
    size = math.prod(records.shape)
    count = len(records)
    start = HEADER_BYTES + 4 * count
    os.ftruncate(descriptor, 0)
    os.posix_fallocate(descriptor, 0, start + count * size)  # a full disk shows now, not halfway
    step = min(count, max(1, CHUNK_BYTES // size))
    images, labels = np.empty((step, *records.shape), np.uint8), np.empty(count, np.float32)
    for first in range(0, count, step):
        tick()
        numbers = range(first, min(first + step, count))
        chunk = images[: len(numbers)]
        records.read(numbers, chunk, labels[first : numbers.stop])
        _write_at(descriptor, chunk.data.cast("B"), start + first * size)
    _write_at(descriptor, labels.data.cast("B"), HEADER_BYTES)
    tick()
    os.fsync(descriptor)
    _write_at(descriptor, header(identity), 0)
    os.fsync(descriptor)


def _write_at(descriptor: int, data: memoryview | bytes, offset: int) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], offset + written)
