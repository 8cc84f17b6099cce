"""Forked worker processes that answer in order, can be stopped at once, and whose death is an error, not a hang.

Every worker has a pipe of its own, whose far end only that worker holds, so a worker that is killed closes it, even
halfway through an answer. With one queue for all, as in multiprocessing.Pool and ProcessPoolExecutor, the reader would
wait for ever for the rest of that answer.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from digits_project.common.processes import die_with

_FORK = multiprocessing.get_context("fork")
_TICK_SECONDS = 0.1
_QUEUED_PER_WORKER = 2  # one in work and one in its pipe, so that no worker waits while the parent writes
_WINDOW_PER_WORKER = 4  # tasks handed out and not yet yielded; bounds what is held until its turn comes


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    queued: deque[int] = field(default_factory=deque)


class WorkerDied(RuntimeError):
    """A worker ended before its answer; `signal` killed it, or is None."""

    def __init__(self, text: str, killed_by: signal.Signals | None):
        super().__init__(text)
        self.signal = killed_by


class WorkerPool:
    """Workers that apply one function; leaving the with block kills them, whatever they are doing.

    `work` reaches the children by fork, so it may hold anything. Tasks and answers are pickled; a task must stay well
    under the 64 KiB that a pipe holds. The thread that enters must live until the end: the workers die with it.
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
        """The answers in the order of the tasks. `tick` is called ten times a second while waiting; it may raise.

        Raises RuntimeError when a worker dies or `work` raises.
        """
        numbered, early, due = enumerate(tasks), {}, 0
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
        """Hand out tasks, evenly, as far as the window allows; `held` answers wait for their turn."""
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
    """What a worker does, until it is killed."""
    die_with(parent)
    _forget_signal_handlers()
    while True:
        task = connection.recv()
        try:
            answer = (True, work(task))
        except Exception:  # noqa: BLE001 - whatever it was, the parent raises it
            answer = (False, traceback.format_exc())
        connection.send(answer)


def _forget_signal_handlers():
    """Handlers of the parent would act on its behalf; Ctrl-C goes to the whole group, but only the parent decides."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
