"""A stopwatch for contracts such as "within two seconds", which holds on a busy machine too."""

from __future__ import annotations

import threading
import time
from pathlib import Path

_SCHEDULED = Path("/proc/thread-self/schedstat")  # nanoseconds on a core, nanoseconds waiting for one, turns
_WORK_SECONDS = 0.003  # processor time of a piece of work
_PAUSE_SECONDS = 0.03


class Stopwatch:
    """The seconds of a block, without the time in which other processes had the cores.

    Meanwhile a thread works a little now and then. The kernel counts how long it ran and how long it waited for a core;
    the measured work is taken to have waited in the same proportion. On an idle machine nothing is left out.

        with Stopwatch() as watch:
            abort()
        assert watch.seconds < 2
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Stopwatch:
        self._began = time.perf_counter()
        self._sampler.start()
        return self

    def __exit__(self, *_) -> None:
        elapsed = time.perf_counter() - self._began
        self._over.set()
        self._sampler.join()
        self.seconds = elapsed * self._ran / (self._ran + self._waited)

    def _sample(self) -> None:
        ran, waited, is_over = time.thread_time(), _waited_for_a_core(), False
        while not is_over:
            worked = time.thread_time()
            while time.thread_time() < worked + _WORK_SECONDS:
                pass
            is_over = self._over.wait(_PAUSE_SECONDS)
        self._ran, self._waited = time.thread_time() - ran, _waited_for_a_core() - waited


def _waited_for_a_core() -> float:
    """The seconds that this thread was ready to run and did not; 0 where the kernel does not count them."""
    return int(_SCHEDULED.read_text().split()[1]) / 1e9 if _SCHEDULED.exists() else 0.0
