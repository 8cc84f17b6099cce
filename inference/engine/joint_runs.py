"""Runs the requests of several threads together, as batches. Plain Python and NumPy."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

Run = Callable[[np.ndarray], list[np.ndarray]]  # the outputs of a network for a batch, one array for each output


class _Request:
    """Images of one thread. `is_woken` is released when they have their outputs, or when their thread is to run."""

    def __init__(self, images: np.ndarray):
        self.images = images
        self.outputs: list[np.ndarray] | None = None
        self.error: BaseException | None = None
        self.is_woken = threading.Lock()
        self.is_woken.acquire()

    def result(self) -> list[np.ndarray] | None:
        """The outputs; None if the request was not run yet. Raises what running it raised."""
        if self.error is not None:
            raise self.error
        return self.outputs


class JointRuns:
    """Calls `run` with batches of what several threads ask for, one batch at a time.

    A thread that finds no run in progress runs its own request at once. The requests that arrive during a run wait for
    its end; then the first of their threads runs as many of them as fit, and all threads of the finished run return.
    So no thread but those of the requests is needed, and none is left over.
    """

    def __init__(self, run: Run, most_images: int):
        self._run = run
        self._most_images = most_images  # of a batch; a larger request is a batch of its own
        self._lock = threading.Lock()
        self._is_running = False
        self._waiting: deque[_Request] = deque()  # empty if no run is in progress

    def outputs(self, images: np.ndarray) -> list[np.ndarray]:
        """The outputs for these images. Raises what `run` raises for them; other requests of the batch don't matter."""
        request = _Request(images)
        with self._lock:
            self._waiting.append(request)
            is_first, self._is_running = not self._is_running, True
        if not is_first:
            request.is_woken.acquire()
        return request.result() or self._run_batch()

    def _run_batch(self) -> list[np.ndarray]:
        """Run the requests at the head of the queue; the first is that of this thread. Returns its outputs."""
        batch = self._next_batch()
        try:
            self._finish(batch)
        finally:
            self._wake_next()
            for request in batch[1:]:
                request.is_woken.release()
        return batch[0].result() or []

    def _next_batch(self) -> list[_Request]:
        with self._lock:
            batch = [self._waiting.popleft()]
            images = len(batch[0].images)
            while self._waiting and images + len(self._waiting[0].images) <= self._most_images:
                batch.append(self._waiting.popleft())
                images += len(batch[-1].images)
        return batch

    def _wake_next(self) -> None:
        """Let the first waiting thread run the next batch."""
        with self._lock:
            self._is_running = bool(self._waiting)
            if self._waiting:
                self._waiting[0].is_woken.release()

    def _finish(self, batch: Sequence[_Request]) -> None:
        """Run a batch. If it fails, run each of its requests alone, so that only those fail that must."""
        try:
            outputs = self._run(_joined([request.images for request in batch]))
        except BaseException as error:  # noqa: BLE001 - the threads of the requests raise it
            if len(batch) == 1 or not isinstance(error, Exception):
                for request in batch:
                    request.error = error
                return
            for request in batch:
                self._finish([request])
            return
        for request, own in zip(batch, _parts(outputs, [len(request.images) for request in batch]), strict=True):
            request.outputs = own


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _parts(outputs: list[np.ndarray], sizes: Sequence[int]) -> list[list[np.ndarray]]:
    """The outputs of a batch, split into those of its requests."""
    if len(sizes) == 1:
        return [outputs]
    borders = np.cumsum(sizes)[:-1]
    return [list(own) for own in zip(*(np.split(output, borders) for output in outputs), strict=True)]
