"""Limits the memory that several threads use to decode images."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class PixelBudget:
    """A pixel budget shared by threads: taken() blocks until enough pixels are free. A forked child starts with all."""

    def __init__(self, pixels: int):
        self._free = pixels
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Take pixels of the budget for the block. `pixels` must not exceed the whole budget."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


class Turn:
    """The share of one image in the budget, from take() to the end of the with block or to give_back().

    Only the first take() counts, so that a thread that holds a share never waits for more.
    """

    def __init__(self, turns: PixelBudget):
        self._turns = turns
        self._stack = ExitStack()
        self._is_taken = False

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *_) -> None:
        self.give_back()

    def take(self, pixels: int) -> None:
        """Wait until this number of pixels is free."""
        if not self._is_taken:
            self._stack.enter_context(self._turns.taken(pixels))
            self._is_taken = True

    def give_back(self) -> None:
        self._stack.close()
        self._is_taken = False
