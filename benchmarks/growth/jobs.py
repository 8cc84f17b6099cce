"""Growing numbers of jobs in the database of a whole server, half of them datasets, half models."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from benchmarks.growth.curve import Curve, Points, each_further
from benchmarks.loops.rounds import ROOT
from benchmarks.server import get
from benchmarks.server_processes import mebibytes, web_processes
from tests.support.server import RunningServer
from tests.support.services import temporary_home

NUMBERS = (10, 1_000, 10_000)
# The shortest time of a request counts, because other work on the machine only adds to it.
PASSES, REPEATS = 5, 20
MODEL = "20260102-000000-0000"  # the id of the first model that benchmarks.samples.many_jobs writes
ALL = "/index.json"


class Request(NamedTuple):
    """A GET, and the fewest jobs with which its response is of full size."""

    path: str
    fewest: int = 0


REQUESTS = {
    "a page of 10 jobs": Request(f"{ALL}?page=1&page_size=5"),  # of each kind
    "a page of 200 jobs": Request(f"{ALL}?page=1", 200),
    "the home page": Request("/", 200),
    "a model": Request(f"/models/{MODEL}.json"),
    "a model's status": Request(f"/models/{MODEL}/status"),
    "the metrics": Request("/metrics"),
    "all jobs, each further job": Request(ALL),
}
WHY = {
    "the metrics": "they add up the seconds of all ended jobs",
    "all jobs, each further job": "PostgreSQL sorts them, and their text outgrows the processor's cache",
    "a web process": "a list of all jobs is made in memory",
}


def curves() -> Iterator[Curve]:
    """The time of requests, and the memory of the largest web process."""
    taken: dict[str, list[tuple[int, float]]] = {name: [] for name in REQUESTS}
    memory, before = [], 0
    with temporary_home() as home, RunningServer(home, 0) as server:
        for number in NUMBERS:
            command = [sys.executable, "-m", "benchmarks.samples.many_jobs", str(number), str(before)]
            subprocess.run(command, cwd=ROOT, env=server.command["env"], check=True)
            before = number
            passes = [
                {name: _milliseconds(server, asked.path) for name, asked in REQUESTS.items()} for _ in range(PASSES)
            ]
            for name, times in taken.items():
                times.append((number, min(times_of[name] for times_of in passes)))
            memory.append((number, max(map(mebibytes, web_processes(server)))))
    for name, times in taken.items():
        yield Curve(name, "ms", _per_unit(name, times), WHY.get(name, ""))
    yield Curve("a web process", "MiB", memory, WHY["a web process"])


def _per_unit(name: str, times: Points) -> Points:
    """The time of a request; of the list of all jobs that of each further job."""
    if REQUESTS[name].path == ALL:
        return each_further(times)
    return [(number, time) for number, time in times if number >= REQUESTS[name].fewest]


def _milliseconds(server: RunningServer, path: str) -> float:
    """The shortest time of some requests over one connection, after one to warm up."""
    times = []
    with closing(http.client.HTTPConnection(server.url.split("/")[2], timeout=60)) as connection:
        for _ in range(1 + REPEATS):
            began = time.perf_counter()
            get(connection, path)
            times.append(1000 * (time.perf_counter() - began))
    return min(times[1:])
