"""The trainer as a process: its events, which it writes to standard output, and its stop on a signal."""

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

DONE, FAULT, USERS_FAULT, STOPPED, LOST = 0, 1, 2, 3, 4

# After SIGTERM the loop has this long to stop between two batches; then the process exits within a batch.
GRACE_SECONDS = 0.7
START_OF_EVENT = b'{"event":'  # the field event comes first


class Events:
    """Writes events to standard output as JSON lines. Other prints to standard output go to standard error instead."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._descriptor = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def emit(self, event: dict[str, Any]) -> None:
        """Write one event. Raises Aborted if the reading end of the pipe is closed."""
        line = json.dumps(event, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except BrokenPipeError as error:
            raise Aborted("nobody reads the events") from error


def parse_line(line: bytes) -> tuple[bytes, dict[str, Any] | None]:
    """The text and the event in a line of a trainer's standard output: b"" without text, None without an event.

    A program that starts the trainer's Python can have printed the text, even without ending its line.
    """
    text, start, rest = line.partition(START_OF_EVENT)
    try:
        return text, json.loads(start + rest)
    except ValueError:
        return line, None


class StopSignal:
    """Stops the trainer on SIGTERM or SIGINT: between two batches, or after GRACE_SECONDS within one.

    Stopping within a batch needs a thread, because Python's handlers don't run while the main thread is in the engine.
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
        """Raise Aborted if the process got a signal to stop."""
        if self._requested:
            raise Aborted("stopped by SIGTERM")

    def _watch(self, wake: int) -> None:
        os.read(wake, 1)
        self._requested = True
        time.sleep(GRACE_SECONDS)
        temporary_paths.remove_all()
        os._exit(STOPPED)
