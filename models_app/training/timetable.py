"""Converts between iterations, epochs and percent of a training, and finds the events that are due after an
iteration."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

# An iteration within a rounding error of a boundary has reached it.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Timetable:
    """A training of `epochs` epochs, `per_epoch` batches each. Iterations count the batches trained.

    The solver takes a step after every `accumulation` batches and after the last, whose group may be smaller. An epoch
    is one pass over the images, so a group can reach over its end. Events that are due within a group come after it.
    """

    epochs: float
    per_epoch: int
    accumulation: int = 1

    @property
    def iterations(self) -> int:
        """The number of iterations of the whole training, at least one."""
        return max(1, math.ceil(self.epochs * self.per_epoch - ROUNDING))

    def epoch(self, iteration: int) -> float:
        """The number of epochs trained after so many iterations."""
        return self.epochs if iteration >= self.iterations else round(iteration / self.per_epoch, 4)

    def groups(self, start: int, end: int | None = None) -> Iterator[tuple[int, int]]:
        """(iterations before, iterations after) of each solver step, from iteration `start`, where a step begins, to
        iteration `end`, where one ends; None: to the last."""
        last = self.iterations if end is None else end
        for before in range(start, last, self.accumulation):
            yield before, min(before + self.accumulation, last)

    def step_after(self, epochs: float) -> int:
        """The number of iterations after the step with which so many epochs are over, or the training."""
        needed = math.ceil(epochs * self.per_epoch - ROUNDING)
        return min(self.iterations, math.ceil(needed / self.accumulation) * self.accumulation)

    def due(self, iteration: int, interval: float) -> float | None:
        """The epoch to report if an event that happens every `interval` epochs is due after this iteration, else None.

        The iteration is the end of a step; a boundary between two steps belongs to the later one. The event is always
        due at the last iteration, unless the interval is 0, which turns it off.
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
