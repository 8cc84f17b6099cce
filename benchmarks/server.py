"""The server itself: how long it takes to start, its memory when idle, and the list of many jobs.

A start is measured from `python -m digits_project.stack`, which `make run` runs, to the first response of
`/index.json`. The list is read over one kept-alive connection; its anchor is `json.dumps` of the same data, with the
indent that the response has.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from statistics import median

import psutil

from benchmarks.load_client import free_port
from benchmarks.loops.rounds import ROOT
from benchmarks.report import Row, against, at_most
from benchmarks.server_processes import mebibytes, processor_seconds

JOBS = 5_000
IDLE_SECONDS = 30
START_WITHIN = 120
REPEATS = 15  # requests of a round; the median counts
PAGE, ALL = "/index.json?page=1", "/index.json"


def rows(rounds: int) -> Iterator[Row]:
    """The starts, the memory and the lists."""
    fresh, again, processor = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user if root starts it
        for number in range(rounds):
            home = Path(folder) / str(number)
            with _server(home) as first:
                fresh.append(first.seconds)
            with _server(home) as second:
                again.append(second.seconds)
                processor.append(second.processor_seconds())
        yield at_most("make run to the first response, new home", "s", fresh, 3)
        yield at_most("the same home again", "s", again, 3)
        yield at_most("the same, processor time of all processes", "s", processor, None)
        with _server(home) as idle:
            time.sleep(IDLE_SECONDS)
            yield at_most("memory of all idle processes (PSS)", "MiB", [idle.memory()], 200)
            yield from _lists(idle, rounds)


def _lists(server: Server, rounds: int) -> Iterator[Row]:
    command = [sys.executable, "-m", "benchmarks.samples.many_jobs", str(JOBS)]
    subprocess.run(command, cwd=ROOT, env=server.env, check=True)
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        listed = json.loads(get(connection, ALL))
        count = sum(len(jobs) for jobs in listed.values() if isinstance(jobs, list))
        if count != JOBS:
            raise RuntimeError(f"{ALL} lists {count} of {JOBS} jobs")
        pages, pairs = [], []
        for _ in range(rounds):
            pages.append(1000 * _seconds(lambda: get(connection, PAGE)))
            pairs.append(
                (1 / _seconds(lambda: get(connection, ALL)), 1 / _seconds(lambda: json.dumps(listed, indent=2)))
            )
    yield at_most(f"a page of 100 of {JOBS} jobs in /index.json", "ms", pages, 5)
    yield against(f"all {JOBS} jobs in /index.json", "lists/s", "json.dumps", pairs, 0.55)


def get(connection: http.client.HTTPConnection, path: str) -> bytes:
    """The body of a response. Raises RuntimeError if its status is not 200."""
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise RuntimeError(f"{path} gets {response.status}: {body[:200]!r}")
    return body


def _seconds(function) -> float:
    """The median of some calls, after one to warm up."""
    function()
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return median(seconds)


class Server:
    """A running `make run`. `seconds`: from its start to its first response."""

    def __init__(self, process: subprocess.Popen, port: int, seconds: float, env: dict[str, str]) -> None:
        self.port, self.seconds, self.env = port, seconds, env
        self._supervisor = psutil.Process(process.pid)

    def processor_seconds(self) -> float:
        """The processor time of all its processes until now."""
        return self._reading(lambda: processor_seconds(self._processes()) + _of_ended(self._supervisor))

    def memory(self) -> float:
        """The memory of all its processes, in MiB."""
        return self._reading(lambda: sum(map(mebibytes, self._processes())))

    def _reading(self, read: Callable[[], float]) -> float:
        """A number read from all processes; it is read again if one of them ends meanwhile, which happens often."""
        while True:
            with suppress(psutil.NoSuchProcess):
                return read()
            self._supervisor.status()  # raises NoSuchProcess if the server itself has ended

    def _processes(self) -> list[psutil.Process]:
        return [self._supervisor, *self._supervisor.children(recursive=True)]


def _of_ended(supervisor: psutil.Process) -> float:
    """The processor time of the processes that it started and that have ended."""
    times = supervisor.cpu_times()
    return times.children_user + times.children_system


@contextmanager
def _server(home: Path) -> Iterator[Server]:
    port = free_port()
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    env |= {"DIGITS_HOME": str(home), "DIGITS_PORT": str(port), "DIGITS_JOBS_DIR": str(home / "jobs")}
    began = time.perf_counter()
    command = [sys.executable, "-m", "digits_project.stack"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    try:
        _await_response(process, port)
        yield Server(process, port, time.perf_counter() - began, env)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _await_response(process: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + START_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=START_WITHIN)) as connection:
            try:
                get(connection, ALL)
                return
            except OSError:  # it does not listen yet
                time.sleep(0.01)
    raise RuntimeError(f"the server does not respond, or ended with {process.poll()}")
