"""The progress of a training on features: first the passes over the images, then the training itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from models_app.training.callbacks import PROGRESS_SECONDS, Emit, progress

PASS_SHARE = 0.8  # of the progress of a training whose features must be computed


class PassProgress:
    """Reports how many of `total` views are computed or read, about once a second, and checks for an abort."""

    def __init__(self, emit: Emit, check_abort: Callable[[], None], total: int) -> None:
        self._emit = emit
        self._check_abort = check_abort
        self._total = total
        self._before = 0  # views of the splits that are finished
        self._now = 0  # of the current one
        self._computed = 0
        self._last = (time.monotonic(), 0)  # time, and the number computed, of the last event

    def tick(self) -> None:
        """Raise Aborted if the training is to stop; else emit progress if it is time."""
        self._check_abort()
        now, (then, computed) = time.monotonic(), self._last
        if now - then < PROGRESS_SECONDS:
            return
        self._last = (now, self._computed)
        fraction = PASS_SHARE * (self._before + self._now) / self._total
        speed = (self._computed - computed) / (now - then)
        self._emit(progress(fraction=fraction, epoch=0.0, images_per_second=speed, learning_rate=0.0))

    def report(self, computed: int) -> None:
        """Count views of the current split that were computed."""
        self._now += computed
        self._computed += computed

    def finish(self, views: int) -> None:
        """Count a split with so many views as finished."""
        self._before += views
        self._now = 0

    def emit_rest(self, event: dict[str, Any]) -> None:
        """Emit an event of the training that follows; its progress goes on where the passes ended."""
        if event["event"] == "progress" and self._computed:
            event = event | {"fraction": round(PASS_SHARE + (1 - PASS_SHARE) * event["fraction"], 4)}
        self._emit(event)
