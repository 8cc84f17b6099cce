"""The trainer as a process: where its events go, how it is told to stop, and that it does not outlive its parent."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import Any

from digits_project.common.errors import Aborted
from models_app.training.snapshots import temporary_paths

DONE, FAULT, USERS_FAULT, STOPPED = 0, 1, 2, 3

# After SIGTERM the loop has this long to stop between two batches; then the process is ended in the midst of one.
GRACE_SECONDS = 0.7


class Events:
    """The standard output as a stream of JSON lines. Whatever else prints there goes to the standard error instead."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._descriptor = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def emit(self, event: dict[str, Any]) -> None:
        """Write one event. Raises Aborted if nobody reads any more."""
        line = json.dumps(event, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except BrokenPipeError as error:
            raise Aborted("nobody reads the events") from error


class StopSignal:
    """SIGTERM and SIGINT, noticed between two batches, or after GRACE_SECONDS in the midst of one.

    The second needs a thread: Python's own handlers wait while the main thread is inside the engine.
    """

    def __init__(self) -> None:
        self._requested = False
        wake, self._wake_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(wake, True)
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # the byte in the pipe is what counts
        threading.Thread(target=self._watch, args=(wake,), name="stop-signal", daemon=True).start()

    def check(self) -> None:
        """Raise Aborted once the process has been told to stop."""
        if self._requested:
            raise Aborted("told to stop")

    def _watch(self, wake: int) -> None:
        os.read(wake, 1)
        self._requested = True
        time.sleep(GRACE_SECONDS)
        temporary_paths.remove_all()
        os._exit(STOPPED)
