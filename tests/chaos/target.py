"""The server under attack: its processes by role, its rows, and its starts and stops."""

import contextlib
import json
import signal
import subprocess
import time
from pathlib import Path

import psutil
import psycopg2

from digits_project.stack.embedded import running_urls
from tests.support.server import RunningServer, wait_until

ROLES = {  # {role: what its command line contains}
    "trainer": "models_app.training",
    "rank": "models_app.training",
    "worker-io": "worker io",
    "worker-train": "worker train",
    "web": "gunicorn",
    "reaper": "manage.py reaper",
    "redis": "unixsocket:",  # valkey-server and redis-server call themselves PROGRAM unixsocket:PATH
    "postgres": "postgres",
}
TRAINING = ("trainer", "rank")  # the roles that are not children of the supervisor
CONNECTION_ERRORS = (OSError, psycopg2.OperationalError, json.JSONDecodeError, KeyError)


class Server:
    """A server on `home` with the jobs folder `jobs`, which can be started repeatedly."""

    def __init__(self, home: Path, jobs: Path, ranks: int = 1):
        """`ranks`: how many ranks each training has, all on the CPU."""
        self.home = home
        self.jobs = jobs
        self.ranks = ranks
        counted = {"DIGITS_CPU_RANKS": str(ranks)} if ranks > 1 else {}
        self.run = RunningServer(home, 0, DIGITS_JOBS_DIR=str(jobs), **counted)

    def start(self) -> None:
        with self.run.output.open("w") as file:
            self.run.process = subprocess.Popen(**self.run.command, stdout=file, stderr=file)
        wait_until(
            lambda: "DIGITS is running" in self.run.output.read_text() or self.run.process.poll() is not None, 120
        )
        assert self.run.process.poll() is None, self.run.output.read_text()
        self.run.url = json.loads((self.home / "stack.json").read_text())["url"]

    def stop(self) -> None:
        """Stop the server as Ctrl-C does."""
        self.run.process.send_signal(signal.SIGINT)
        self.run.process.wait(60)

    def kill(self, everything: bool) -> None:
        """Send SIGKILL to the supervisor only, which has to end all its children, or to all processes."""
        targets = self.processes() if everything else []
        self.run.process.kill()
        for process in targets:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.run.process.wait(10)

    def processes(self) -> list[psutil.Process]:
        """All descendants of the supervisor."""
        try:
            return psutil.Process(self.run.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def strays(self) -> list[psutil.Process]:
        """Processes of this home outside the supervisor's tree."""
        known = {self.run.process.pid, *(process.pid for process in self.processes())}
        return [process for process in self.of_this_home() if process.pid not in known]

    def of_this_home(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("DIGITS_HOME") == str(self.home) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def find(self, role: str) -> list[psutil.Process]:
        """The processes of this role, oldest first; `horse-io` and `horse-train` are the workers' children, and each
        `web-process` is one of gunicorn's first process."""
        if role.startswith("horse-"):
            workers = self.find(role.replace("horse", "worker"))
            return [child for worker in workers for child in _children(worker)]
        if role == "web-process":
            return [child for web in self.find("web") for child in _children(web)]
        top = self.run.process.pid
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                own = process.ppid() == top if role not in TRAINING else is_rank(process) == (role == "rank")
                if own and ROLES[role] in " ".join([process.name(), *process.cmdline()]):
                    found.append(process)
        return sorted(found, key=lambda process: process.pid)

    def query(self, statement: str, *values) -> list[tuple]:
        """The rows of a SELECT, read without the web server; raises CONNECTION_ERRORS if the database is down."""
        url = running_urls(self.home)["DATABASE_URL"]
        with contextlib.closing(psycopg2.connect(url, connect_timeout=5)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def redis_url(self) -> str:
        return running_urls(self.home)["REDIS_URL"]


def is_rank(process: psutil.Process) -> bool:
    """Whether torchrun started the process."""
    return "TORCHELASTIC_RUN_ID" in process.environ()


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [child for child in process.children() if child.status() != psutil.STATUS_ZOMBIE]
    except psutil.NoSuchProcess:
        return []


def wait_for(condition, seconds: float):
    """Poll `condition()` until it is true and return its value, or None after these seconds.

    Errors of an unreachable server count as false.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(*CONNECTION_ERRORS, AssertionError, psutil.Error):
            if result := condition():
                return result
        time.sleep(0.1)
    return None
