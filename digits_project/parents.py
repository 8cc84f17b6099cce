"""How a process is tied to its parent: prctl(2) of Linux. Standard library only, so that a trainer may use it too."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int | None, by: signal.Signals = signal.SIGKILL, status: int = 1) -> None:
    """In a child: get the signal `by` when the thread that started this process ends; end now, with `status`, if
    `parent`, a pid, died before this call. Raises OSError where the kernel does not do that."""
    _prctl(_PR_SET_PDEATHSIG, by)
    if parent is not None and os.getppid() != parent:
        os._exit(status)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that a list of the descendants misses none."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, int(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
