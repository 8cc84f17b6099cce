"""When things happen in a training: iterations, epochs and percent, and what is due after which iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass

# An iteration that is short of a boundary by no more than a rounding error has reached it.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Timetable:
    """A training of `epochs` epochs, `per_epoch` batches each. Iterations count the batches trained."""

    epochs: float
    per_epoch: int

    @property
    def iterations(self) -> int:
        """How many there are in all, at least one."""
        return max(1, math.ceil(self.epochs * self.per_epoch - ROUNDING))

    def epoch(self, iteration: int) -> float:
        """How many epochs have been trained."""
        return self.epochs if iteration >= self.iterations else round(iteration / self.per_epoch, 4)

    def percent(self, iteration: int) -> float:
        """How much of the training is done, 0 to 100."""
        return 100 * iteration / self.iterations

    def due(self, iteration: int, interval: float) -> float | None:
        """The epoch to name, if something that happens every `interval` epochs happens after this iteration.

        An interval between two iterations counts for the later one. The last iteration is always due, unless the
        interval is 0, which turns the thing off.
        """
        if not interval:
            return None
        if iteration == self.iterations:
            return self.epochs
        step = interval * self.per_epoch
        reached = math.floor(iteration / step + ROUNDING)
        if reached == math.floor((iteration - 1) / step + ROUNDING):
            return None
        return round(reached * interval, 4)
