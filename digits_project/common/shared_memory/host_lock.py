"""Locks between the threads of all processes that share a file."""

import fcntl
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class HostLock:
    """Lets one thread of all processes into its block. `file` is a file descriptor, `byte` says which lock of the file
    this is. If a process dies in the block, the kernel releases the lock."""

    def __init__(self, file: int, byte: int):
        self._file, self._byte = file, byte
        self._threads = threading.Lock()  # the kernel's lock belongs to the process, not to the thread

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, self._byte)
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *exception) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._byte)
        self._threads.release()

    def acquire_now(self) -> bool:
        """Acquire the lock, until __exit__() or the end of the process, if it is free. Returns whether it was."""
        if not self._threads.acquire(blocking=False):
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._byte)
        except OSError:
            self._threads.release()
            return False
        return True


@contextmanager
def one_of(locks: Sequence[HostLock]) -> Iterator[None]:
    """Hold a lock that is free, or wait for any one of them: as many threads of all processes as there are locks."""
    lock = next((lock for lock in locks if lock.acquire_now()), None)
    if lock is None:
        lock = random.choice(locks)  # nosec B311 (no secret)
        lock.__enter__()
    try:
        yield
    finally:
        lock.__exit__()
