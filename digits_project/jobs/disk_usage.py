"""How much of the disk jobs take. Their folders are measured in a thread of their own: no request waits for that."""

import os
import shutil
import threading
import time
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

STALE_SECONDS = 300


class Usage(NamedTuple):
    """Bytes of the file system that jobs lie on; `jobs` is None until their folders have been measured."""

    total: int
    free: int
    jobs: int | None

    @property
    def used_share(self) -> float:
        return 1 - self.free / self.total if self.total else 0.0


class _Measured:
    """The last sum, and the thread that makes the next one."""

    def __init__(self):
        self.bytes: int | None = None
        self.at = 0.0
        self.lock = threading.Lock()

    def refresh(self) -> None:
        """Start to measure, unless that was done of late or is being done."""
        if time.monotonic() - self.at > STALE_SECONDS and self.lock.acquire(blocking=False):
            threading.Thread(target=self._measure, name="disk", daemon=True).start()

    def _measure(self) -> None:
        try:
            self.bytes = size(settings.DIGITS_JOBS_DIR)
            self.at = time.monotonic()
        finally:
            self.lock.release()


_measured = _Measured()


def usage() -> Usage | None:
    """What is known now; None where there is no folder of jobs yet."""
    try:
        disk = shutil.disk_usage(settings.DIGITS_JOBS_DIR)
    except OSError:
        return None
    _measured.refresh()
    return Usage(disk.total, disk.free, _measured.bytes)


def size(folder: Path) -> int:
    """Bytes of the files in a folder and all below it; 0 where there is none. Links are not followed."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += size(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:  # it goes away while it is measured
        return total
    return total
