"""A lock between the threads of all processes that share a file."""

import fcntl
import threading


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

    def acquire_for_life(self) -> bool:
        """Acquire the lock, if it is free, until this process ends or calls release(). Returns whether it was free."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._byte)
        except OSError:
            return False
        return True

    def release(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._byte)
