"""When things happen in a training: iterations, epochs and percent, and what is due after which iteration."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

# An iteration that is short of a boundary by no more than a rounding error has reached it.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Timetable:
    """A training of `epochs` epochs, `per_epoch` batches each. Iterations count the batches trained.

    The solver takes a step after every `accumulation` batches and after the last, whose group may be smaller. An epoch
    stays one pass over the images, so a group may reach over its end; whatever is due within a group, comes after it.
    """

    epochs: float
    per_epoch: int
    accumulation: int = 1

    @property
    def iterations(self) -> int:
        """How many there are in all, at least one."""
        return max(1, math.ceil(self.epochs * self.per_epoch - ROUNDING))

    def epoch(self, iteration: int) -> float:
        """How many epochs have been trained."""
        return self.epochs if iteration >= self.iterations else round(iteration / self.per_epoch, 4)

    def groups(self, start: int) -> Iterator[tuple[int, int]]:
        """Each step from iteration `start` on, where one begins: how many batches were trained before it and after."""
        for before in range(start, self.iterations, self.accumulation):
            yield before, min(before + self.accumulation, self.iterations)

    def percent(self, iteration: int) -> float:
        """How much of the training is done, 0 to 100."""
        return 100 * iteration / self.iterations

    def due(self, iteration: int, interval: float) -> float | None:
        """The epoch to name, if something that happens every `interval` epochs happens after this iteration.

        The iteration is the end of a step; an interval between two steps counts for the later one. The last iteration
        is always due, unless the interval is 0, which turns the thing off.
        """
        if not interval:
            return None
        if iteration == self.iterations:
            return self.epochs
        step = interval * self.per_epoch
        reached = math.floor(iteration / step + ROUNDING)
        if reached == math.floor((iteration - self.accumulation) / step + ROUNDING):
            return None
        return round(reached * interval, 4)
