"""The base class of the embedded PostgreSQL and Redis: start, wait until ready, restart, stop."""

import importlib.util
import os
import signal
import subprocess
import time
from pathlib import Path

from digits_project.common import processes

READY_WITHIN = 60  # seconds; after a crash PostgreSQL first replays its journal


class ServiceError(Exception):
    """The service can't run here; the text tells the user why."""


class Service:
    """A server process. Subclasses define how it starts, when it is ready and which signals stop it."""

    name: str
    stop_signals: tuple[signal.Signals, ...]  # it gets the first also when its parent dies
    stop_grace: float = 15.0  # seconds after each signal
    data: Path  # its working directory; no other process works there
    log: Path
    process: subprocess.Popen
    _logged: int  # the size of its log when it was started

    def begin(self) -> None:
        """Start the server on its data, which is created if there is none; `await_ready` waits for it."""
        processes.rotate(self.log)
        self.prepare()
        self._launch_alone()

    def prepare(self) -> None:
        """Create the data directory and the configuration."""
        raise NotImplementedError

    def launch(self) -> subprocess.Popen:
        """Start the process."""
        raise NotImplementedError

    def connect(self) -> bool:
        """Whether the server accepts connections."""
        raise NotImplementedError

    def await_ready(self) -> None:
        """Wait until the server accepts connections."""
        deadline = time.monotonic() + READY_WITHIN
        while not self.connect():
            if self.process.poll() is not None or time.monotonic() > deadline:
                state = "is not ready" if self.process.poll() is None else f"exited ({self.process.returncode})"
                log_end = processes.tail(self.log, start=self._logged)
                raise ServiceError(f"{self.name} {state}. The end of {self.log}:\n{log_end}")
            time.sleep(0.02)

    def _launch_alone(self) -> None:
        """Start the process. First stop a server that a killed parent left running: two servers on one data directory
        would destroy it, and a pid file can name a reused pid."""
        if not processes.wait_until_left(self.data, self.stop_signals[0], READY_WITHIN):
            raise ServiceError(f"{self.name} of an earlier run still runs in {self.data} and does not stop")
        self.clear_stale_files()
        self._logged = self.log.stat().st_size if self.log.exists() else 0
        self.process = self.launch()

    def clear_stale_files(self) -> None:
        """Remove the files that a killed server leaves. No server runs at this point."""

    def start_again(self) -> str:
        """Start it again after it died, with the same URL. Returns a line of text that says so."""
        code = self.process.returncode
        self._launch_alone()
        self.await_ready()
        return f"{self.name} ended ({code}) and was restarted"

    def stop(self) -> None:
        if hasattr(self, "process"):
            processes.stop([self.process], self.stop_signals, self.stop_grace)


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, which is not imported; None without it."""
    spec = importlib.util.find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 atomically: it is never incomplete and never readable by others."""
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
