"""Identifies a process uniquely, by host, pid and start time."""

import os
import signal
from pathlib import Path
from typing import NamedTuple

from django.conf import settings


class Process(NamedTuple):
    """A process on a host. `began` is its start time in clock ticks since the host's boot (proc(5), field 22 of stat),
    so that a reused pid is not mistaken for it."""

    host: str
    pid: int
    began: int

    @classmethod
    def current(cls) -> "Process":
        return cls(settings.DIGITS_HOST_NAME, os.getpid(), _began(os.getpid()))

    @classmethod
    def parse(cls, text: str) -> "Process":
        """The inverse of str()."""
        host, pid, began = text.rsplit("/", 2)
        return cls(host, int(pid), int(began))

    def __str__(self) -> str:
        return f"{self.host}/{self.pid}/{self.began}"

    @property
    def is_local(self) -> bool:
        return self.host == settings.DIGITS_HOST_NAME

    def is_process(self, pid: int) -> bool:
        """Whether it is the process of this host with the number `pid`."""
        return self.is_local and self.pid == pid

    def is_alive(self) -> bool:
        """Whether the process still runs. Works only on its own host."""
        return _began(self.pid) == self.began

    def kill(self) -> None:
        """Send SIGKILL if the process still runs; its children die with it (processes.die_with)."""
        if self.is_alive():
            os.kill(self.pid, signal.SIGKILL)


def _began(pid: int) -> int:
    """The start time of `pid`; 0 if there is no such process or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    state, *fields = stat.rpartition(")")[2].split()  # the command's name, in parentheses, can contain any character
    return 0 if state in "ZX" else int(fields[18])
