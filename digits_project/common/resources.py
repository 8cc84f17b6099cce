"""How much memory this process may take and has taken, and what to report when it gets no more. No Django here."""

from __future__ import annotations

import errno
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# How libraries that raise no MemoryError say that they get no memory; the loader of libraries is one of them.
_WORDS = re.compile(
    r"out of memory|failed to allocate|unable to allocate|cannot allocate memory|bad_alloc|bad allocation|"
    r"failed to map segment|can't start new thread|larger than 2\^31",
    re.IGNORECASE,
)
_ASKED = re.compile(r"allocate (\d+(?:\.\d*)? ?[KMGTPE]i?B)")  # NumPy's words
CGROUPS = Path("/sys/fs/cgroup")
V1_LIMIT = CGROUPS / "memory" / "memory.limit_in_bytes"


class Limit(NamedTuple):
    """So many bytes, and what sets them."""

    size: int
    name: str

    def __str__(self) -> str:
        return f"{gibibytes(self.size)} ({self.name})"


def limit() -> Limit:
    """The least of what the machine has, what the control group grants, and the limit of the address space."""
    return min(_limits())


def _limits() -> Iterator[Limit]:
    yield Limit(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "the machine's memory")
    for path in _cgroup_files():
        try:
            granted = path.read_text().strip()
        except OSError:
            continue
        if granted != "max":
            yield Limit(int(granted), "the limit of the control group")
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if address_space != resource.RLIM_INFINITY:
        yield Limit(address_space, "the limit of the address space, ulimit -v")


def _cgroup_files() -> Iterator[Path]:
    """The limits of this process's control group and of those around it."""
    yield V1_LIMIT
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    group = CGROUPS / own
    for folder in (group, *group.parents):
        yield folder / "memory.max"
        if folder == CGROUPS:
            return


def taken() -> int:
    """The most bytes that this process has had: of its address space where that is limited, else in memory."""
    limited = resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    field = "VmPeak" if limited else "VmHWM"
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def taken_by_children() -> int:
    """The most bytes in memory that one of the child processes had that have ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10


def is_want_of_memory(error: BaseException | None) -> bool:
    """Whether an exception, or what it was raised from, is for want of memory."""
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM or _WORDS.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def explain(error: BaseException, what: str, remedy: str) -> str:
    """What to tell the user: `what` ran out of memory, how much it had, and what to try."""
    asked = _ASKED.search(str(error))
    more = f" and asked for {asked[1].replace('. ', ' ')} more" if asked else ""
    return f"{what} ran out of memory: it had taken {gibibytes(taken())}{more}, and there are {limit()}. {remedy}"


def gibibytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


def usable_cores() -> int:
    """The cores that this process may run on, or fewer if its control group is granted less time than that."""
    cores = len(os.sched_getaffinity(0))
    quota = cpu_quota()
    return max(1, min(cores, round(quota))) if quota else cores


def cpu_quota() -> float | None:
    """The processor time that the control group grants, in cores; None if it sets no limit."""
    try:
        quota, period = CGROUP_V2.read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = ((CGROUP_V1 / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        except OSError:
            return None
    if quota == "max" or int(quota) <= 0:
        return None
    return int(quota) / int(period)
