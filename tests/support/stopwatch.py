"""A stopwatch for contracts such as "within two seconds", which holds on a busy machine too."""

from __future__ import annotations

import threading
import time

_WORK_SECONDS = 0.003  # processor time of a sample
_PAUSE_SECONDS = 0.03


class Stopwatch:
    """The seconds since it began, as an idle machine would have needed them.

    A thread takes samples: how much longer than its own processor time a piece of work takes. What other processes took
    from it they took from the measured work too.

        with Stopwatch() as watch:
            abort()
        assert watch.seconds < 2
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._took, self._worked = 0.0, 0.0
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Stopwatch:
        self._began = time.perf_counter()
        self._sampler.start()
        return self

    def __exit__(self, *_) -> None:
        elapsed = time.perf_counter() - self._began
        self._over.set()
        self._sampler.join()
        self.seconds = elapsed * self._worked / self._took

    def _sample(self) -> None:
        while True:
            began, worked = time.perf_counter(), time.thread_time()
            while time.thread_time() < worked + _WORK_SECONDS:
                pass
            self._took += time.perf_counter() - began
            self._worked += time.thread_time() - worked
            if self._over.wait(_PAUSE_SECONDS):
                return
