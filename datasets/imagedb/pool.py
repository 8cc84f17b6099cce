"""Ordered results of pools: of threads, and of forked workers, which can be stopped at once, and where a dead worker is
an error.

Each worker has its own pipe, and only that worker holds its far end, so the pipe closes when the worker is killed, even
in the middle of a result. With a shared queue, as in multiprocessing.Pool and ProcessPoolExecutor, the reader would
wait for the rest of that result for ever."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from digits_project.common.processes import die_with

T = TypeVar("T")
R = TypeVar("R")
_FORK = multiprocessing.get_context("fork")
_TICK_SECONDS = 0.1
_QUEUED_PER_WORKER = 3  # one in progress and two in the pipe, so that no worker waits for a parent that is late
_WINDOW_PER_WORKER = 4  # tasks sent whose results are not yet yielded; limits the memory for results out of order


def in_order(pool: ThreadPoolExecutor, function: Callable[[T], R], tasks: Iterable[T], most: int) -> Iterator[R]:
    """The function's results in the order of the tasks, at most `most` of which are waiting or being computed."""
    waiting: deque[Future[R]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(function, task))
            if len(waiting) == most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    queued: deque[int] = field(default_factory=deque)


class WorkerDied(RuntimeError):
    """A worker ended before it sent its result. `signal` is the signal that killed it, or None."""

    def __init__(self, text: str, killed_by: signal.Signals | None):
        super().__init__(text)
        self.signal = killed_by


class WorkerPool:
    """Workers that apply one function. Leaving the with block kills them at once.

    `work` reaches the children by fork, so it can be any callable. Tasks and results are pickled; a task must be well
    under the 64 KiB of a pipe. The thread that enters the block must live until its end: the workers die with it.
    """

    def __init__(self, work: Callable[[Any], Any], count: int):
        self._work = work
        self._count = count
        self._workers: list[_Worker] = []

    def __enter__(self) -> WorkerPool:
        try:
            for _ in range(self._count):
                self._start()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._kill()

    def map(self, tasks: Iterable[Any], tick: Callable[[], None]) -> Iterator[Any]:
        """The results in the order of the tasks. `tick` is called ten times a second while waiting; it can raise.

        Raises RuntimeError if a worker dies or `work` raises.
        """
        early: dict[int, Any] = {}
        numbered, due = enumerate(tasks), 0
        while True:
            self._feed(numbered, len(early))
            if not any(worker.queued for worker in self._workers):
                return
            ready = wait([worker.connection for worker in self._workers], _TICK_SECONDS)
            for worker in self._workers:
                if worker.connection in ready:
                    answer = _answer(worker)
                    early[worker.queued.popleft()] = answer
            while due in early:
                yield early.pop(due)
                due += 1
            tick()

    def _feed(self, numbered, held):
        """Send tasks evenly to the workers, as far as the window allows; `held` results wait for earlier ones."""
        room = self._count * _WINDOW_PER_WORKER - held - sum(len(worker.queued) for worker in self._workers)
        for level in range(_QUEUED_PER_WORKER):
            idle = [worker for worker in self._workers if len(worker.queued) == level][: max(room, 0)]
            for worker, (number, task) in zip(idle, islice(numbered, len(idle)), strict=False):
                worker.queued.append(number)
                _send(worker, task)
            room -= len(idle)

    def _start(self):
        near, far = _FORK.Pipe()
        process = _FORK.Process(target=_serve, args=(self._work, far, os.getpid()), daemon=True)
        process.start()
        far.close()
        self._workers.append(_Worker(process, near))

    def _kill(self):
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()


def _send(worker, task):
    try:
        worker.connection.send(task)
    except OSError:
        raise _death(worker) from None


def _answer(worker):
    try:
        succeeded, answer = worker.connection.recv()
    except (EOFError, OSError):
        raise _death(worker) from None
    if not succeeded:
        raise RuntimeError(f"Worker process {worker.process.pid} failed:\n{answer}")
    return answer


def _death(worker):
    worker.process.join()
    code = worker.process.exitcode
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    hint = ", perhaps because the machine ran out of memory" if code == -signal.SIGKILL else ""
    killed_by = signal.Signals(-code) if code < 0 else None
    return WorkerDied(f"Worker process {worker.process.pid} {how}{hint}.", killed_by)


def _serve(work, connection, parent):
    """Run in a worker process: receive tasks and send back what `work` returns or raises, until it is killed."""
    die_with(parent)
    gc.freeze()  # otherwise each collection would visit all objects of the parent, and copy their pages
    _forget_signal_handlers()
    while True:
        task = connection.recv()
        try:
            answer = (True, work(task))
        except Exception:  # noqa: BLE001 - the parent raises it
            answer = (False, traceback.format_exc())
        connection.send(answer)


def _forget_signal_handlers():
    """Reset the signal handlers inherited from the parent, and ignore Ctrl-C, which the parent handles for all."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
