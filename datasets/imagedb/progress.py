"""How far a build is: the heartbeat that its caller sees, and the point where an abort is noticed."""

from __future__ import annotations

import time
from collections.abc import Callable

_INTERVAL = 0.1  # seconds


class BuildProgress:
    """Passes on the fraction done, at most ten times a second, however often it is told. Never goes back.

    Whatever `report` raises goes through to the builder.
    """

    def __init__(self, report: Callable[[float], None]):
        self._report = report
        self._start, self._stop = 0.0, 1.0
        self._fraction = 0.0
        self._due = 0.0

    def enter(self, start: float, stop: float) -> None:
        """From here on at(0) means `start` and at(1) means `stop`."""
        self._start, self._stop = start, stop
        self.at(0)

    def at(self, fraction: float) -> None:
        """This fraction of the present stretch is done."""
        self._fraction = max(self._fraction, self._start + (self._stop - self._start) * fraction)
        self.tick()

    def tick(self) -> None:
        """Still alive."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _INTERVAL
            self._report(float(self._fraction))

    def finish(self) -> None:
        """All is done; said at once."""
        self._due = 0.0
        self.enter(1, 1)
