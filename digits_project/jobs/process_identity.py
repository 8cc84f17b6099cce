"""Names a process so that nobody can mistake another for it: host, pid, and the moment it began."""

import os
import signal
from pathlib import Path
from typing import NamedTuple

from django.conf import settings


class Process(NamedTuple):
    """A process of some host. `began` is in clock ticks since that host's boot (proc(5), field 22 of stat), so that a
    reused pid is not taken for it."""

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

    def is_alive(self) -> bool:
        """Whether it still runs; only its own host can tell."""
        return _began(self.pid) == self.began

    def kill(self) -> None:
        """SIGKILL, if it still runs; what it started dies with it (parents.die_with)."""
        if self.is_alive():
            os.kill(self.pid, signal.SIGKILL)


def _began(pid: int) -> int:
    """When `pid` began, or 0 when there is no such process or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    state, *fields = stat.rpartition(")")[2].split()  # the command's name, in parentheses, may hold anything
    return 0 if state in "ZX" else int(fields[18])
