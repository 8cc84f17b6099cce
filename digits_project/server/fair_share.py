"""Threads of the web server, shared fairly between those who send requests. Called from the worker's loop only."""

import itertools
from collections import Counter, OrderedDict, defaultdict, deque
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


MAX_WAITING = 400  # requests of one caller, or of all who have a share in common, in a lane
MIN_WAITING = 8  # of a caller that the others who have a share in common with it can't take away


class Lane:
    """Some threads for one kind of request, so that other kinds don't wait for them.

    Of the callers who wait, the one with the fewest threads is next; of those the one who has waited for longest. It is
    found in the same time among any number of callers.
    """

    def __init__(self, name: str, threads: int, later: Callable):
        """`later(function, …)` calls the function in the loop."""
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free, self._share, self._later = threads, max(1, threads // 2), later
        self._busy: Counter[str] = Counter()  # threads by key, and by share
        self._waiting: dict[str, deque[_Job]] = {}  # by key
        self._queued: Counter[str] = Counter()  # how many of those, by key, and by share
        # Keys of those who wait and have no thread, and their turns, by the shares that others have too.
        self._idle: defaultdict[tuple[str, ...], OrderedDict[str, int]] = defaultdict(OrderedDict)
        self._turns = itertools.count()

    def is_full(self, caller: Caller) -> bool:
        """Whether no more requests of this caller should wait. Each holds a connection, of which an address has only so
        many: with all of them waiting, there would be none for whoever watches the server from there."""
        own = self._queued[caller.key]
        crowded = any(self._queued[key] >= MAX_WAITING for key in (caller.key, *caller.shares))
        return crowded and own >= MIN_WAITING

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
            future.add_done_callback(lambda future, job=job: self._later(self._finish, job, future))

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
        """The first of those without a thread, who is now no more one of them."""
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
        """The one with the fewest threads; there are no more of them than threads."""
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
    """The shares that others have too."""
    return tuple(share for share in caller.shares if share != caller.key)


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
