"""Threads of the web server, shared fairly between those who send requests. Called from the worker's loop only."""

from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """Who sent a request: a user, or an address where nobody has logged in."""

    key: str
    shares: tuple[str, ...] = ()  # each of these has at most half of the threads; none: all of them
    logged_in: bool = True


@dataclass(frozen=True)
class _Job:
    caller: Caller
    run: Callable[[], object]
    done: Callable[[Future], None]


class Lane:
    """Some threads for one kind of request, so that other kinds don't wait for them.

    Of the callers who wait, the one with the fewest threads is next.
    """

    def __init__(self, name: str, threads: int, later: Callable):
        """`later(function, …)` calls the function in the loop."""
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free, self._share, self._later = threads, max(1, threads // 2), later
        self._busy: Counter[str] = Counter()  # threads by key, and by share
        self._waiting: dict[str, deque[_Job]] = {}

    def submit(self, caller: Caller, run: Callable[[], object], done: Callable[[Future], None]) -> None:
        """Call `run()` in a thread when it is the caller's turn, then `done(future)` in the loop."""
        self._waiting.setdefault(caller.key, deque()).append(_Job(caller, run, done))
        self._start()

    def shutdown(self, wait: bool) -> None:
        self._executor.shutdown(wait=wait)

    def _start(self) -> None:
        while self._free and (job := self._next()):
            self._count(job.caller, 1)
            future = self._executor.submit(job.run)
            future.add_done_callback(lambda future, job=job: self._later(self._finish, job, future))

    def _next(self) -> _Job | None:
        allowed = [key for key, jobs in self._waiting.items() if self._may_start(jobs[0].caller)]
        if not allowed:
            return None
        key = min(allowed, key=lambda key: self._busy[key])
        jobs = self._waiting.pop(key)
        job = jobs.popleft()
        if jobs:
            self._waiting[key] = jobs  # behind the others
        return job

    def _may_start(self, caller: Caller) -> bool:
        return all(self._busy[share] < self._share for share in caller.shares)

    def _finish(self, job: _Job, future: Future) -> None:
        self._count(job.caller, -1)
        self._start()
        job.done(future)

    def _count(self, caller: Caller, change: int) -> None:
        self._free -= change
        for key in {caller.key, *caller.shares}:
            self._busy[key] += change
            if not self._busy[key]:
                del self._busy[key]


class Lanes:
    """All threads of the web server."""

    def __init__(self, threads: int, later: Callable):
        sizes = {"requests": threads, "downloads": max(2, threads // 4), "lookups": 2, "healthz": 1, "readyz": 1}
        self._lanes = {name: Lane(name, size, later) for name, size in sizes.items()}

    def __getitem__(self, name: str) -> Lane:
        return self._lanes[name]

    def shutdown(self, wait: bool) -> None:
        for lane in self._lanes.values():
            lane.shutdown(wait)
