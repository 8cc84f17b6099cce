"""When a training has learnt what it can: it ends after so many validations that were no better than the best."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Patience:
    """Counts the validations since the best. `most` of them are borne, 0: any number.

    `best` is the merit of the best one, the accuracy or, without one, the loss below zero. Both travel with a snapshot,
    so that a training that goes on stops where it would have stopped.
    """

    most: int = 0
    best: float | None = None
    stale: int = 0

    def judge(self, merit: float) -> None:
        """A validation has come to this merit."""
        if self.best is None or merit > self.best:
            self.best, self.stale = merit, 0
        else:
            self.stale += 1

    @property
    def is_over(self) -> bool:
        return 0 < self.most <= self.stale
