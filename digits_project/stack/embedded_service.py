"""What PostgreSQL and Redis have in common as children: start, become ready, die, start again, stop."""

import os
import signal
import subprocess
import time
from pathlib import Path

from digits_project.common import processes

READY_WITHIN = 60  # seconds; PostgreSQL replays its journal first after a crash


class ServiceError(Exception):
    """A service can't run here; the text tells the user why."""


class Service:
    """A server in the foreground. Subclasses say how it is started, when it answers and which signals end it."""

    name: str
    stop_signals: tuple[signal.Signals, ...]  # the first is also what it gets when its parent dies
    stop_grace: float = 15.0  # seconds for each of them
    data: Path  # its working directory, in which nothing else works
    log: Path
    process: subprocess.Popen

    def __enter__(self) -> "Service":
        processes.rotate(self.log)
        self.prepare()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception) -> None:
        self.stop()

    def prepare(self) -> None:
        """Make the data directory and the configuration."""
        raise NotImplementedError

    def launch(self) -> subprocess.Popen:
        """The new process."""
        raise NotImplementedError

    def connect(self) -> bool:
        """Whether it answers yet."""
        raise NotImplementedError

    def start(self) -> None:
        """Launch it and wait until it answers. What a killed parent left behind ends first: two servers on one data
        directory would destroy it, and their own pid files can't tell a server from a reused pid."""
        if not processes.wait_until_left(self.data, self.stop_signals[0], READY_WITHIN):
            raise ServiceError(f"{self.name} of an earlier run still works in {self.data} and does not stop")
        self.clear_stale_files()
        logged = self.log.stat().st_size if self.log.exists() else 0
        self.process = self.launch()
        deadline = time.monotonic() + READY_WITHIN
        while not self.connect():
            if self.process.poll() is not None or time.monotonic() > deadline:
                state = "is not ready" if self.process.poll() is None else f"exited ({self.process.returncode})"
                said = processes.tail(self.log, start=logged)
                raise ServiceError(f"{self.name} {state}. The end of {self.log}:\n{said}")
            time.sleep(0.02)

    def clear_stale_files(self) -> None:
        """Remove what only a server that was killed leaves behind; nothing runs now."""

    def start_again(self) -> str:
        """After it died: start it, on the same URL; a line that says so."""
        code = self.process.returncode
        self.start()
        return f"{self.name} ended ({code}) and was started again"

    def stop(self) -> None:
        if hasattr(self, "process"):
            processes.stop([self.process], self.stop_signals, self.stop_grace)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, in one step: never half of it, never readable by others."""
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
