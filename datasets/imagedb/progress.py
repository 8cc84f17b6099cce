"""Reports the progress of a build. The report is also the heartbeat, and the point where an abort is noticed."""

from __future__ import annotations

import time
from collections.abc import Callable

_INTERVAL = 0.1  # seconds


class BuildProgress:
    """Calls `report` with the fraction done, at most ten times a second. The fraction never decreases.

    Exceptions of `report` pass through to the builder.
    """

    def __init__(self, report: Callable[[float], None]):
        self._report = report
        self._start, self._stop = 0.0, 1.0
        self._fraction = 0.0
        self._due = 0.0

    def enter(self, start: float, stop: float) -> None:
        """Begin a stage: from now on at(0) means `start` and at(1) means `stop`."""
        self._start, self._stop = start, stop
        self.at(0)

    def at(self, fraction: float) -> None:
        """Report that this fraction of the current stage is done."""
        self._fraction = max(self._fraction, self._start + (self._stop - self._start) * fraction)
        self.tick()

    def tick(self) -> None:
        """Send a heartbeat."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _INTERVAL
            self._report(float(self._fraction))

    def finish(self) -> None:
        """Report 1.0 at once."""
        self._due = 0.0
        self.enter(1, 1)
