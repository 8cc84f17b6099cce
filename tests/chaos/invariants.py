"""What must be true again soon after any fault."""

from pathlib import Path

from tests.chaos.server import AWAY, Server
from tests.chaos.work import Work

CHILDREN = 6  # of the supervisor: PostgreSQL, Redis, web, two workers, reaper


def complaints(server: Server, work: Work) -> list[str]:
    """What is not as it should be at this moment; what is so for long is a violation."""
    try:
        if (status := server.run.get("/index.json")) != 200:
            return [f"the web server answers {status}"]
        rows = work.rows()
    except AWAY as away:
        return [f"{type(away).__name__}: {away}"]
    return [*_of_rows(rows), *_of_processes(server), *_of_trainers(server, rows)]


def _of_rows(rows: list[tuple]) -> list[str]:
    """Running with a process that lives; Waiting for one that is Running."""
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
    """No orphan: none outside of the supervisor's tree, none that it adopted, no second trainer."""
    found = [f"pid {stray.pid} is nobody's: {' '.join(stray.cmdline())[:80]}" for stray in server.strays()]
    parents = {process.pid: process.ppid() for process in server.processes()}
    if list(parents.values()).count(server.run.process.pid) > CHILDREN:
        found.append("the supervisor has adopted an orphan")
    return found


def _of_trainers(server: Server, rows: list[tuple]) -> list[str]:
    """One for a model that is Running, and not a second."""
    running = sum(kind == "models" and status == "Running" for kind, _, status, *_ in rows)
    trainers = len(server.find("trainer"))
    return [] if running == trainers else [f"{running} models are Running, of {trainers} trainers"]


def _lives(worker: str) -> bool:
    """Whether the process that a row names, host/pid/began, still runs."""
    _, pid, began = worker.rsplit("/", 2)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in "ZX" and fields[19] == began
