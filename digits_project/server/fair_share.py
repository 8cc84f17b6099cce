"""Shares the web server's threads fairly among callers. All of it runs in the worker's loop."""

import itertools
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True)
class Caller:
    """The sender of a request: a user, or without a login an address."""

    key: str
    shares: tuple[str, ...] = ()  # each share gets at most half of the threads; without a share all
    logged_in: bool = True


@dataclass(frozen=True)
class _Job:
    caller: Caller
    run: Callable[[], object]
    done: Callable[[Future], None]


MAX_WAITING = 400  # waiting requests of one caller, or of all callers of a common share, per lane
MIN_WAITING = 8  # that a caller can always have waiting, no matter how many others of its share wait


class Lane:
    """The threads for one kind of request, so that other kinds don't wait for them.

    The next request is that of the waiting caller with the fewest threads; among equals, of the caller that has
    waited longest. Finding it takes the same time for any number of callers.
    """

    def __init__(self, name: str, threads: int, later: Callable, processes: int = 1):
        """`later(function, …)` must call the function in the loop. `processes` share the limits of waiting requests."""
        self._max_waiting, self._min_waiting = -(-MAX_WAITING // processes), -(-MIN_WAITING // processes)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free, self._share, self._later = threads, max(1, threads // 2), later
        self._busy: Counter[str] = Counter()  # busy threads by caller, and by share
        self._waiting: dict[str, deque[_Job]] = {}  # by caller
        self._queued: Counter[str] = Counter()  # waiting requests by caller, and by share
        # Waiting callers without a thread, in order, by their common shares.
        self._idle: defaultdict[tuple[str, ...], OrderedDict[str, int]] = defaultdict(OrderedDict)
        self._turns = itertools.count()

    def is_full(self, caller: Caller) -> bool:
        """Whether the caller's further requests must be refused. Each waiting request holds a connection; if an address
        held all of its connections so, its health checks could not connect."""
        own = self._queued[caller.key]
        crowded = any(self._queued[key] >= self._max_waiting for key in (caller.key, *caller.shares))
        return crowded and own >= self._min_waiting

    def submit(self, caller: Caller, run: Callable[[], object], done: Callable[[Future], None]) -> None:
        """Call `run()` in a thread when it is the caller's turn, then `done(future)` in the loop."""
        jobs = self._waiting.setdefault(caller.key, deque())
        jobs.append(_Job(caller, run, done))
        _count(self._queued, caller, 1)
        if len(jobs) == 1:
            self._take_turn(caller)
        self._start()

    def shutdown(self, wait: bool) -> None:
        self._executor.shutdown(wait=wait)

    def _start(self) -> None:
        while self._free and (job := self._next()):
            self._free -= 1
            _count(self._busy, job.caller, 1)
            future = self._executor.submit(job.run)
            future.add_done_callback(partial(self._later, self._finish, job))

    def _next(self) -> _Job | None:
        caller = self._next_idle() or self._next_busy()
        if caller is None:
            return None
        jobs = self._waiting[caller.key]
        job = jobs.popleft()
        if not jobs:
            del self._waiting[caller.key]
        _count(self._queued, job.caller, -1)
        return job

    def _next_idle(self) -> Caller | None:
        """Remove and return the first waiting caller without a thread."""
        allowed = {
            shares: next(iter(turns.items()))
            for shares, turns in self._idle.items()
            if all(self._busy[share] < self._share for share in shares)
        }
        if not allowed:
            return None
        shares, (key, _) = min(allowed.items(), key=lambda item: item[1][1])
        self._leave(shares, key)
        return self._waiting[key][0].caller

    def _next_busy(self) -> Caller | None:
        """The waiting caller with the fewest threads; there are at most as many as threads."""
        callers = (self._waiting[key][0].caller for key in self._busy if key in self._waiting)
        allowed = [caller for caller in callers if self._may_start(caller)]
        return min(allowed, key=lambda caller: self._busy[caller.key], default=None)

    def _may_start(self, caller: Caller) -> bool:
        return all(self._busy[share] < self._share for share in caller.shares)

    def _take_turn(self, caller: Caller) -> None:
        if not self._busy[caller.key]:
            self._idle[_common(caller)][caller.key] = next(self._turns)

    def _leave(self, shares: tuple[str, ...], key: str) -> None:
        del self._idle[shares][key]
        if not self._idle[shares]:
            del self._idle[shares]

    def _finish(self, job: _Job, future: Future) -> None:
        self._free += 1
        _count(self._busy, job.caller, -1)
        if job.caller.key in self._waiting:
            self._take_turn(self._waiting[job.caller.key][0].caller)
        self._start()
        job.done(future)


def _count(counter: Counter[str], caller: Caller, change: int) -> None:
    for key in {caller.key, *caller.shares}:
        counter[key] += change
        if not counter[key]:
            del counter[key]


def _common(caller: Caller) -> tuple[str, ...]:
    """The caller's shares without its own key: those that it has in common with other callers."""
    return tuple(share for share in caller.shares if share != caller.key)


class Lanes:
    """All lanes of the web server."""

    def __init__(self, threads: int, later: Callable, processes: int = 1):
        sizes = {"requests": threads, "downloads": max(2, threads // 4), "lookups": 2, "healthz": 1, "readyz": 1}
        self._lanes = {name: Lane(name, size, later, processes) for name, size in sizes.items()}

    def __getitem__(self, name: str) -> Lane:
        return self._lanes[name]

    def shutdown(self, wait: bool) -> None:
        for lane in self._lanes.values():
            lane.shutdown(wait)
