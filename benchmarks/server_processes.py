"""Processes of a running server, and what they take: processor time and memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import psutil

from tests.support.server import RunningServer


def web_processes(server: RunningServer) -> list[psutil.Process]:
    """The processes that respond to requests, and the one that started them."""
    return processes_with(server, "gunicorn")


def processes_with(server: RunningServer, word: str) -> list[psutil.Process]:
    """The processes of the server that have this word in their command line."""
    found = []
    for process in psutil.Process(server.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # connections of the database end at any time
            if word in process.cmdline():
                found.append(process)
    return found


def processor_seconds(processes: Iterable[psutil.Process]) -> float:
    """The processor time of these processes together, in seconds."""
    times = [process.cpu_times() for process in processes]
    return sum(time.user + time.system for time in times)


def mebibytes(process: psutil.Process) -> float:
    """The memory of a process, in MiB; a page that several processes share is divided among them (PSS)."""
    return process.memory_full_info().pss / 2**20
