"""How many cores this process may use. Standard library only: it is asked before any library starts its threads."""

import os
from pathlib import Path

CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


def usable_cores() -> int:
    """The cores that this process may run on, or fewer if its control group is granted less time than that."""
    cores = len(os.sched_getaffinity(0))
    quota = cpu_quota()
    return max(1, min(cores, round(quota))) if quota else cores


def cpu_quota(v2: Path = CGROUP_V2, v1: Path = CGROUP_V1) -> float | None:
    """The processor time that the control group grants, in cores; None if it sets no limit."""
    try:
        quota, period = v2.read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = (v1 / "cpu.cfs_quota_us").read_text(), (v1 / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    if quota == "max" or int(quota) <= 0:
        return None
    return int(quota) / int(period)
