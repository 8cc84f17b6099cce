"""The invariants that have to hold again soon after any fault."""

from pathlib import Path

from tests.chaos.target import CONNECTION_ERRORS, Server
from tests.chaos.work import Work

CHILDREN = 8  # of the supervisor: the fork server, PostgreSQL, Redis, web, three workers, reaper


def broken_invariants(server: Server, work: Work) -> list[str]:
    """The invariants that are broken at this moment. One that stays broken is a violation."""
    try:
        if (status := server.run.get("/index.json")) != 200:
            return [f"the web server responds with {status}"]
        rows = work.rows()
    except CONNECTION_ERRORS as error:
        return [f"{type(error).__name__}: {error}"]
    return [*_of_rows(rows), *_of_processes(server), *_of_trainers(server, rows)]


def _of_rows(rows: list[tuple]) -> list[str]:
    """A Running job has a living process; a Waiting job waits for a Running one."""
    found = [f"{kind} {job} is {status}" for kind, job, status, *_ in rows if status == "Initialized"]
    for kind, job, status, worker, _ in rows:
        if status == "Running" and not _lives(worker):
            found.append(f"{kind} {job} is Running, but not {worker}")
    for kind in ("datasets", "models"):
        statuses = [row[2] for row in rows if row[0] == kind]
        if "Waiting" in statuses and "Running" not in statuses:
            found.append(f"{statuses.count('Waiting')} {kind} wait, none runs")
    return found


def _of_processes(server: Server) -> list[str]:
    """There is no orphan, neither outside the supervisor's tree nor adopted by it."""
    found = [f"pid {stray.pid} has no supervisor: {' '.join(stray.cmdline())[:80]}" for stray in server.strays()]
    parents = {process.pid: process.ppid() for process in server.processes()}
    if list(parents.values()).count(server.run.process.pid) > CHILDREN:
        found.append("the supervisor has adopted an orphan")
    return found


def _of_trainers(server: Server, rows: list[tuple]) -> list[str]:
    """Each Running model has exactly one trainer."""
    running = sum(kind == "models" and status == "Running" for kind, _, status, *_ in rows)
    trainers = len(server.find("trainer"))
    return [] if running == trainers else [f"{running} models are Running with {trainers} trainers"]


def _lives(worker: str) -> bool:
    """Whether the process in a row, host/pid/start time, still runs."""
    _, pid, start_time = worker.rsplit("/", 2)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in "ZX" and fields[19] == start_time
