"""The memory and the cores that this process can use, and the message for a user when memory runs out."""

from __future__ import annotations

import errno
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# Messages of libraries that raise other exceptions than MemoryError, the dynamic linker included.
_WORDS = re.compile(
    r"out of memory|failed to allocate|unable to allocate|cannot allocate memory|bad_alloc|bad allocation|"
    r"failed to map segment|can't start new thread|larger than 2\^31",
    re.IGNORECASE,
)
_ASKED = re.compile(r"allocate (\d+(?:\.\d*)? ?[KMGTPE]i?B)")  # NumPy's message
ComputeCapability = tuple[int, int]  # of an NVIDIA GPU, (major, minor): (8, 6) is an RTX 3090
CGROUPS = Path("/sys/fs/cgroup")
V1_LIMIT = CGROUPS / "memory" / "memory.limit_in_bytes"


class Limit(NamedTuple):
    """A limit in bytes, and what sets it."""

    size: int
    name: str

    def __str__(self) -> str:
        return f"{gibibytes(self.size)} ({self.name})"


def limit() -> Limit:
    """The smallest of the machine's memory, the control group's limit, and the limit of the address space."""
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
    """The memory limit files of this process's control group and of its parents."""
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
    """Peak bytes of this process: of its address space if that is limited, else of resident memory."""
    limited = resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    field = "VmPeak" if limited else "VmHWM"
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def taken_by_children() -> int:
    """Peak resident bytes of the largest child process that has ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10


def is_want_of_memory(error: BaseException | None) -> bool:
    """Whether an exception, or one of its causes, means that the memory ran out."""
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM or _WORDS.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def explain(error: BaseException, what: str, remedy: str) -> str:
    """The message for the user: `what` ran out of memory, how much it had, and what to try."""
    asked = _ASKED.search(str(error))
    more = f" and asked for {asked[1].replace('. ', ' ')} more" if asked else ""
    return f"{what} ran out of memory: it had taken {gibibytes(taken())}{more}, and there are {limit()}. {remedy}"


def gibibytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


def usable_cores() -> int:
    """The number of cores that this process can use, by its CPU affinity and its control group's quota."""
    cores = len(os.sched_getaffinity(0))
    quota = cpu_quota()
    return max(1, min(cores, round(quota))) if quota else cores


def cpu_quota() -> float | None:
    """The control group's limit of processor time, in cores; None without a limit."""
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
