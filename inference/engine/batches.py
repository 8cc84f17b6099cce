"""Reads many images in a few threads, slightly ahead of the network. Plain Python."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

from digits_project.common.errors import BadInput
from digits_project.common.resources import usable_cores

AHEAD = 2  # batches in memory: one in the network, one being read
Name = TypeVar("Name")  # names an image: a str, or an object whose str() is shown in messages


class Batches(Generic[Name]):
    """Iterates once over (names, pixels uint8 N×H×W×C) with N up to `size`, in the order of the names.

    At most AHEAD batches are in memory. If `read` raises BadInput for an image, it is skipped, counted and passed to
    `tell`; if all images are skipped, the iteration ends with BadInput.
    """

    def __init__(
        self,
        names: Iterable[Name],
        read: Callable[[Name], np.ndarray],
        size: int,
        tell: Callable[[Name, BadInput], None] | None = None,
    ):
        self._names = iter(names)
        self._read = read
        self._size = size
        self._tell = tell
        self.loaded = 0
        self.skipped = 0
        self.first_fault = ""  # the number of skipped images, and the reason for the first

    def __iter__(self) -> Iterator[tuple[list[Name], np.ndarray]]:
        pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="image")
        try:
            yield from self._batches(pool)
        finally:
            pool.shutdown(cancel_futures=True)
        if not self.loaded:
            raise BadInput(self._why_none())

    def _batches(self, pool: ThreadPoolExecutor) -> Iterator[tuple[list[Name], np.ndarray]]:
        waiting: deque[tuple[Name, Future]] = deque()
        while True:
            more = islice(self._names, AHEAD * self._size - len(waiting))
            waiting.extend((name, pool.submit(self._read, name)) for name in more)
            if not waiting:
                return
            batch = self._whatever_loads([waiting.popleft() for _ in range(min(self._size, len(waiting)))])
            if batch:
                yield [name for name, _ in batch], np.stack([pixels for _, pixels in batch])

    def _whatever_loads(self, reading: list[tuple[Name, Future]]) -> list[tuple[Name, np.ndarray]]:
        loaded = []
        for name, future in reading:
            try:
                loaded.append((name, future.result()))
            except BadInput as fault:
                self.skipped += 1
                self.first_fault = self.first_fault or f"{name}: {fault}"
                if self._tell:
                    self._tell(name, fault)
        self.loaded += len(loaded)
        return loaded

    def _why_none(self) -> str:
        if not self.skipped:
            return "image_list names no image; write one path on each line."
        return f"None of the {self.skipped} images of image_list could be loaded. The first is {self.first_fault}"
