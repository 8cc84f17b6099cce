"""The disk space that jobs take. A thread of its own measures the folders, so that no request waits for it."""

import os
import shutil
import threading
import time
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

STALE_SECONDS = 300


class Usage(NamedTuple):
    """Bytes of the file system of the jobs folder; `jobs` is None until the folders have been measured."""

    total: int
    free: int
    jobs: int | None

    @property
    def used_share(self) -> float:
        return 1 - self.free / self.total if self.total else 0.0


class _Measured:
    """The last measured sum, and the thread that measures the next one."""

    def __init__(self):
        self.bytes: int | None = None
        self.at = 0.0
        self.lock = threading.Lock()

    def refresh(self) -> None:
        """Start a measurement, unless one runs or has just ended."""
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
    """The usage as last measured; None if there is no jobs folder yet."""
    try:
        disk = shutil.disk_usage(settings.DIGITS_JOBS_DIR)
    except OSError:
        return None
    _measured.refresh()
    return Usage(disk.total, disk.free, _measured.bytes)


def size(folder: Path) -> int:
    """Bytes of all files in a folder and below it; 0 if it does not exist. Links are not followed."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += size(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:  # deleted while it is measured
        return total
    return total
