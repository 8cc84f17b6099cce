"""A rank: which it is, which rows of a batch are its own, and what it exchanges with the other ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class RankLost(Exception):
    """Another rank of the training has ended, or did not come. The training can continue from its newest snapshot."""


class Ranks:
    """The rank of this process among those of its training; without others, rank 0 of 1.

    number, count: among all ranks. number_here, count_here: among those of this host.

    An engine with several ranks overrides the methods that need the other ranks.
    """

    def __init__(self, number: int = 0, count: int = 1, number_here: int = 0, count_here: int = 1) -> None:
        self.number = number
        self.count = count
        self.number_here = number_here
        self.count_here = count_here

    @property
    def is_first(self) -> bool:
        return self.number == 0

    def own_devices(self, devices: Sequence[str]) -> tuple[str, ...]:
        """The device of this rank among those of the host; all if there is one rank."""
        return tuple(devices) if self.count == 1 else (devices[self.number_here],)

    def all_devices(self, own: str) -> str:
        """The devices of all ranks, as text; `own` is that of this rank."""
        return own

    def rows(self, batch_size: int) -> slice:
        """The rows of a batch that this rank computes. All ranks have the same number; of a remainder the first ranks
        have one more each."""
        size, more = divmod(batch_size, self.count)
        start = size * self.number + min(self.number, more)
        return slice(start, start + size + (self.number < more))

    def total(self, array: np.ndarray) -> np.ndarray:
        """The sum of an array over all ranks, the same on each. Every rank has to call it."""
        return array

    def agree(self, number: int) -> int:
        """The number of rank 0, for all ranks. Every rank has to call it."""
        return number

    def explain(self, error: Exception) -> Exception:
        """RankLost if the error came because another rank has ended, else the error."""
        return error

    def pass_on(self, event: Mapping[str, Any]) -> None:
        """Keep the event of the error that ends this rank, for rank 0 (passed_on)."""

    def passed_on(self) -> dict[str, Any] | None:
        """The event of an error that ended another rank; None if none comes within a second."""
        return None


ALONE = Ranks()
