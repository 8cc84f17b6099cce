"""Memory that the web processes of a host share: counters, locks, numbers of connections, changes of rows.

gunicorn's first process makes it before it forks the others. A process that is no web process (a command, a worker, a
test) makes such memory for itself alone.

    share(2)                                  # in the parent
    shared().join()                           # in each web process
    shared().counters.add("name", 1, 60)      # a number that all of them see
    shared().hold("name", 1)                  # what this process holds, until it gives it back or dies
"""

import mmap
import os

from digits_project.common.resources import usable_cores
from digits_project.common.shared_memory import counters
from digits_project.common.shared_memory.host_lock import HostLock

MAX_PROCESSES = 16
SLOTS = 2 * MAX_PROCESSES  # while gunicorn replaces all processes, the old and the new ones live
NUMBER = 8  # bytes
STOPPING = 1 << 40  # as a number of connections: the process accepts none
MUTEX, ONE_AT_A_TIME, OF_SLOTS, OF_CORES = 0, 1, 100, 1000  # bytes of the file that stand for locks

# Arrays of 64-bit numbers in the block, one number for each slot.
PROCESSES, CONNECTIONS, CHANGES = range(3)
ARRAYS = 3 * SLOTS * NUMBER
LAST = ARRAYS  # the number that the newest process got
COUNTERS = ARRAYS + NUMBER


class WebProcesses:
    """A block of shared memory with one slot for each web process, and a file whose bytes are locks between them.

    `count` is the number of processes that gunicorn was asked for; limits are divided by it.
    """

    def __init__(self, count: int):
        self.count = count
        self._file = os.memfd_create("digits-web-processes")
        os.ftruncate(self._file, COUNTERS + counters.SIZE)
        memory = memoryview(mmap.mmap(self._file, COUNTERS + counters.SIZE))
        self._numbers, self._connections, self._changes = (
            memory[array * SLOTS * NUMBER : (array + 1) * SLOTS * NUMBER].cast("Q")
            for array in (PROCESSES, CONNECTIONS, CHANGES)
        )
        self._last = memory[LAST : LAST + NUMBER].cast("Q")
        self._mutex = HostLock(self._file, MUTEX)
        self.one_at_a_time = HostLock(self._file, ONE_AT_A_TIME)  # for work that takes much memory
        self.compressing = [HostLock(self._file, OF_CORES + core) for core in range(max(1, usable_cores() // 2))]
        self.counters = counters.SharedCounters(memory[COUNTERS:], self._mutex, self._numbers)
        self._slot = 0
        self._number = self._numbers[0] = self._last[0] = 1

    def join(self) -> None:
        """Take a slot for this process, until its end. What dead processes held is free from now on."""
        with self._mutex:
            slots = [HostLock(self._file, OF_SLOTS + slot) for slot in range(SLOTS)]
            free = [slot for slot, lock in enumerate(slots) if lock.acquire_now()]
            for slot in free:
                self._numbers[slot] = self._connections[slot] = 0
            for slot in free[1:]:
                slots[slot].__exit__()
            if not free:
                raise RuntimeError(f"There are {SLOTS} web processes already; set DIGITS_WEB_PROCESSES to fewer.")
            self._slot = free[0]
            self._last[0] += 1
            self._number = self._numbers[self._slot] = self._last[0]

    def hold(self, name: str, change: float) -> float:
        """Change how much this process holds of something. Returns how much all processes hold together."""
        return self.counters.hold(name, change, self._number)

    @property
    def living(self) -> int:
        """The number of processes; for a moment a dead one counts too."""
        return sum(map(bool, self._numbers))

    # --- connections: the process with the fewest accepts the next one ------------------------------------------------
    def set_connections(self, number: int) -> None:
        self._connections[self._slot] = number

    def others_have_fewer(self, connections: int) -> bool:
        """Whether another process has fewer connections than this one, by more than an eighth."""
        if self.count == 1:
            return False
        mine = connections - connections // 8
        return any(
            number and slot != self._slot and self._connections[slot] < mine
            for slot, number in enumerate(self._numbers)
        )

    # --- rows: a process that has changed some reports it to the others -----------------------------------------------
    def rows_changed(self) -> None:
        """Report that this process has changed rows. Each process counts in a slot of its own, so no change is lost."""
        with self._mutex:
            self._changes[self._slot] += 1

    def row_changes(self) -> bytes:
        """A value that differs after each change."""
        return bytes(self._changes)


_shared: list[WebProcesses] = []


def share(count: int) -> WebProcesses:
    """Make the memory that the future forks of this process share."""
    _shared[:] = [WebProcesses(count)]
    return _shared[0]


def shared() -> WebProcesses:
    """The memory that this process shares with the other web processes."""
    return _shared[0] if _shared else share(1)
