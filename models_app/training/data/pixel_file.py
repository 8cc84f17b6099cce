"""The file of a split's decoded pixels: NAME.pixels beside NAME.rec.

Decoding takes 20 to 1000 µs per image, reading decoded pixels 2 µs. So a small split is decoded once, and every
training on that dataset reads that file. It is read with pread, not mapped, so the memory of the process does not grow
with the split.
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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.imagedb.foreign.pairs import labels_path
from models_app.training.data.crops import InputLayout, Window
from models_app.training.snapshots.temporary_paths import partial

if TYPE_CHECKING:
    from models_app.training.data.pixels import Records

logger = logging.getLogger(__name__)

HEADER_BYTES = 4096
LABEL_BYTES = 4
CHUNK_BYTES = 8 << 20
LOCK_POLL_SECONDS = 0.2

Numbers = Sequence[int] | np.ndarray  # of images


class PixelFile:
    """A file of decoded images: a header, all labels (float32), then the pixels (N×C×H×W, of the layout's dtype)."""

    TRAILER_BYTES = 0  # behind the pixels

    def __init__(self, path: Path, layout: InputLayout, identity: dict, threads: int) -> None:
        """Open the file. Raises FileNotFoundError if its header is not that of `identity`."""
        self.layout = layout
        self._threads = threads
        self._count = identity["images"]
        self._pixel_bytes = np.dtype(layout.dtype).itemsize
        self._image_bytes = math.prod(layout.image_shape) * self._pixel_bytes
        self._label_bytes = LABEL_BYTES * math.prod(layout.label_shape)
        self._start = HEADER_BYTES + self._count * self._label_bytes
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._end = self._start + self._count * self._image_bytes
        if (
            os.pread(self._descriptor, HEADER_BYTES, 0) != header(identity)
            or os.fstat(self._descriptor).st_size != self._end + self.TRAILER_BYTES
        ):
            os.close(self._descriptor)
            raise FileNotFoundError(f"{path} belongs to other records")
        self._categories: np.ndarray | None = None
        if not layout.label_shape:
            stored = os.pread(self._descriptor, self._count * LABEL_BYTES, HEADER_BYTES)
            self._categories = np.frombuffer(stored, np.float32)
        # Reading pixels takes 2 µs and needs no second thread, scaling them takes up to a millisecond.
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="resize") if layout.resize else None

    def __len__(self) -> int:
        return self._count

    def read(
        self, numbers: Numbers, images: np.ndarray, labels: np.ndarray, windows: Sequence[Window] | None = None
    ) -> None:
        """See Images.read. Only one thread at a time may call it."""
        self._read_labels(numbers, labels)
        size, start = self._image_bytes, self._start
        if windows is None:
            for number, image in zip(numbers, images, strict=True):
                self._fill(image, start + int(number) * size)
            return
        if self._pool is None:
            self._read_windows(range(len(numbers)), numbers, images, windows)
            return
        in_shares(
            self._pool, self._threads, len(numbers), lambda part: self._read_windows(part, numbers, images, windows)
        )

    def _read_windows(self, part: range, numbers: Numbers, images: np.ndarray, windows: Sequence[Window]) -> None:
        channels, height, width = self.layout.image_shape
        shape = self.layout.window_shape
        rows = np.empty((channels, shape[0], width), self.layout.dtype)
        for place in part:
            window, start = windows[place], self._start + int(numbers[place]) * self._image_bytes
            for channel, of_channel in enumerate(rows):
                self._fill(of_channel, start + (channel * height + window.top) * width * self._pixel_bytes)
            self.layout.put(window._replace(top=0).of(rows, *shape), images[place])

    def _read_labels(self, numbers: Numbers, labels: np.ndarray) -> None:
        if self._categories is not None:
            np.take(self._categories, numbers, out=labels)
            return
        for number, label in zip(numbers, labels, strict=True):
            self._fill(label, HEADER_BYTES + int(number) * self._label_bytes)

    def _fill(self, array: np.ndarray, offset: int) -> None:
        if os.preadv(self._descriptor, [array.data], offset) != array.nbytes:
            raise OSError("the file of decoded images has become shorter")

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        os.close(self._descriptor)


def in_shares(pool: ThreadPoolExecutor, threads: int, images: int, work: Callable[[range], None]) -> None:
    """Call a function with the positions of a batch's images, a share for each thread; raises what it raises."""
    share = math.ceil(images / threads)
    parts = [range(start, min(start + share, images)) for start in range(0, images, share)]
    for _ in pool.map(work, parts):
        pass  # iterating raises a thread's exception here


def header(identity: dict) -> bytes:
    """The header of a pixel file."""
    return json.dumps(identity).encode().ljust(HEADER_BYTES)


def decoded_once(records: Records, tick: Callable[[], None]) -> PixelFile:
    """The file of the decoded pixels of these records, which is written first if it is missing."""
    identity = records_identity(records)
    path = records.path.with_suffix(".pixels")
    try:
        return PixelFile(path, records.layout, identity, records.threads)
    except FileNotFoundError:
        pass
    with only_writer(path.with_name(f".{path.name}.part"), tick) as (descriptor, part):
        try:
            return PixelFile(path, records.layout, identity, records.threads)  # written while this process waited
        except FileNotFoundError:
            logger.info("decoding %d images of %s", len(records), records.path)
        _write(descriptor, records, identity, tick)
        part.rename(path)
    return PixelFile(path, records.layout, identity, records.threads)


def records_identity(records: Records) -> dict:
    """Values that differ between files made of different records."""
    files = [file.stat() for file in (records.path, labels_path(records.path)) if file.exists()]
    return {
        "images": len(records),
        "image_shape": records.layout.image_shape,
        "label_shape": records.layout.label_shape,
        "records": [(file.st_size, file.st_mtime_ns) for file in files],
    }


@contextmanager
def only_writer(path: Path, tick: Callable[[], None]) -> Iterator[tuple[int, Path]]:
    """Open `path` for writing under a lock: another trainer on the same dataset waits. A dead writer's file is
    reused."""
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


def remove_unlocked(path: Path) -> None:
    """Remove a file of only_writer() that a killed process left; nothing if a process is writing it."""
    with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether `path` is still the open file. It is not once the previous holder of the lock has renamed or removed
    it."""
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
    layout, count = records.layout, len(records)
    size, label_size = math.prod(layout.image_shape), LABEL_BYTES * math.prod(layout.label_shape)
    start = HEADER_BYTES + count * label_size
    os.ftruncate(descriptor, 0)
    os.posix_fallocate(descriptor, 0, start + count * size)  # a full disk shows now, not halfway
    step = min(count, max(1, CHUNK_BYTES // (size + label_size)))
    images = np.empty((step, *layout.image_shape), np.uint8)
    labels = np.empty((step, *layout.label_shape), np.float32)
    for first in range(0, count, step):
        tick()
        numbers = range(first, min(first + step, count))
        chunk, its_labels = images[: len(numbers)], labels[: len(numbers)]
        records.read(numbers, chunk, its_labels)
        write_at(descriptor, chunk.data.cast("B"), start + first * size)
        write_at(descriptor, its_labels.data.cast("B"), HEADER_BYTES + first * label_size)
    tick()
    os.fsync(descriptor)
    write_at(descriptor, header(identity), 0)
    os.fsync(descriptor)


def write_at(descriptor: int, data: memoryview | bytes, offset: int) -> None:
    """Write all of `data` at the offset."""
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], offset + written)
