"""Growing numbers of jobs in the database of a whole server, half of them datasets, half models."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

from benchmarks.growth.curve import Curve, Points, each_further
from benchmarks.loops.rounds import ROOT
from benchmarks.server import web_processes
from tests.support.server import RunningServer
from tests.support.services import temporary_home

NUMBERS = (10, 1_000, 10_000)
REPEATS = 25  # of each request; the shortest time counts, because other work on the machine only adds to it
MODEL = "20260102-000000-0000"  # the id of the first model that benchmarks.many_jobs writes
ALL = "/index.json"
PATHS = {
    "a page of 100 jobs": f"{ALL}?page=1",
    "a model": f"/models/{MODEL}.json",
    "a model's status": f"/models/{MODEL}/status",
    "the metrics": "/metrics",
}


def curves() -> Iterator[Curve]:
    """The time of requests, and the memory of the largest web process."""
    taken: dict[str, list[tuple[int, float]]] = {path: [] for path in (*PATHS.values(), ALL)}
    memory, before = [], 0
    with temporary_home() as home, RunningServer(home, 0) as server:
        for number in NUMBERS:
            command = [sys.executable, "-m", "benchmarks.many_jobs", str(number), str(before)]
            subprocess.run(command, cwd=ROOT, env=server.command["env"], check=True)
            before = number
            for path, times in taken.items():
                times.append((number, _milliseconds(server, path)))
            memory.append((number, max(each.memory_full_info().pss for each in web_processes(server)) / 2**20))
    for name, path in PATHS.items():
        yield Curve(name, "ms", taken[path])
    yield Curve("all jobs, each further job", "µs", _in_microseconds(each_further(taken[ALL])))
    yield Curve("a web process", "MiB", memory)


def _milliseconds(server: RunningServer, path: str) -> float:
    """The shortest time of some requests over one connection, after one to warm up."""
    times = []
    with closing(http.client.HTTPConnection(server.url.split("/")[2], timeout=60)) as connection:
        for _ in range(1 + REPEATS):
            began = time.perf_counter()
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise RuntimeError(f"{path} responds {response.status}: {body[:200]!r}")
            times.append(1000 * (time.perf_counter() - began))
    return min(times[1:])


def _in_microseconds(points: Points) -> Points:
    return [(size, 1000 * value) for size, value in points]
