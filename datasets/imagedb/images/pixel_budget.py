"""Limits the memory that several threads use to decode images."""

from __future__ import annotations

import threading


class PixelBudget:
    """A pixel budget shared by threads. A forked child starts with all."""

    def __init__(self, pixels: int):
        self._pixels = self._free = pixels
        self._processes = 1
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting = 0

    def divide(self, processes: int) -> None:
        """Share the budget with other processes: each has its part, or one larger image at a time."""
        self._processes = processes

    def take(self, pixels: int) -> None:
        """Wait until this number of pixels is free, and take them. It must not exceed the whole budget."""
        with self._lock:
            self._waiting += 1
            while self._pixels - self._free + pixels > max(pixels, self._pixels // self._processes):
                self._changed.wait()
            self._waiting -= 1
            self._free -= pixels

    def give_back(self, pixels: int) -> None:
        """Return pixels that were taken."""
        with self._lock:
            self._free += pixels
            if self._waiting:
                self._changed.notify_all()


class Turn:
    """The share of one image in the budget, from take() to the end of the with block or to give_back().

    Only the first take() counts, so that a thread that holds a share never waits for more.
    """

    def __init__(self, turns: PixelBudget):
        self._turns = turns
        self._taken: int | None = None

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *_) -> None:
        self.give_back()

    def take(self, pixels: int) -> None:
        """Wait until this number of pixels is free."""
        if self._taken is None:
            self._turns.take(pixels)
            self._taken = pixels

    def give_back(self) -> None:
        if self._taken is not None:
            self._turns.give_back(self._taken)
            self._taken = None
