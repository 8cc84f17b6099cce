"""Creates job ids with their folders, and removes job folders."""

import fcntl
import os
import secrets
import shutil
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from django.conf import settings

ABANDONED_SECONDS = 60.0  # a claim whose folder is removed is at least this old


class Claim:
    """A job's id and its new, empty folder, before the job's row is committed.

    Until settle(), a locked file beside the folder marks the claim. The kernel releases the lock when the process
    ends, so a locked file means that a living process still fills the folder, however long that takes.
    """

    def __init__(self, job_id: str):
        """Raises FileExistsError if the id is taken."""
        self.job_id = job_id
        folder = settings.DIGITS_JOBS_DIR / job_id
        self._marker = _marker(folder)
        descriptor = os.open(self._marker, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._close = weakref.finalize(self, os.close, descriptor)  # also where the transaction is rolled back
        _lock_new(descriptor)
        try:
            folder.mkdir()
        except BaseException:
            self.settle()
            raise

    def settle(self) -> None:
        """Call this once the row is committed: it removes the claim and its lock."""
        with suppress(OSError):
            self._marker.unlink()
        self._close()


def claim() -> Claim:
    """A new id, `YYYYMMDD-HHMMSS-xxxx` (UTC, four hex digits), with its empty folder.

    Creating the folder claims the id: mkdir succeeds for one process only.
    """
    settings.DIGITS_JOBS_DIR.mkdir(parents=True, exist_ok=True)
    while True:
        with suppress(FileExistsError):
            return Claim(f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")


def remove(directory: Path) -> None:
    """Delete a job's folder. It is renamed first, so that no process sees it half deleted."""
    renamed = directory.with_name(f".{directory.name}.deleted")
    try:
        directory.rename(renamed)
    except FileNotFoundError:
        pass
    else:
        shutil.rmtree(renamed)
    _marker(directory).unlink(missing_ok=True)


def remove_abandoned(has_row: Callable[[str], object], older_than: float = ABANDONED_SECONDS) -> None:
    """Delete the folders of jobs without a row (by `has_row(id)`) whose creating process has died.

    A folder without a claim stays even if it has no row, because the process may be connected to the wrong database.
    """
    for marker in settings.DIGITS_JOBS_DIR.glob(".*.creating"):
        with suppress(OSError):  # it is locked, or another process was quicker; or the file system has no locks
            if time.time() - marker.stat().st_ctime > older_than:
                _remove_unless_claimed(marker, has_row)


def _remove_unless_claimed(marker: Path, has_row: Callable[[str], object]) -> None:
    folder = marker.with_name(marker.name[1:].removesuffix(".creating"))
    with marker.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.fstat(file.fileno()).st_nlink:
            return  # its process has just ended it
        if has_row(folder.name):  # its process died right after the commit
            marker.unlink(missing_ok=True)
        else:
            remove(folder)


def finish_removals(older_than: float = 3600.0) -> None:
    """Delete folders that processes killed during `remove` left more than `older_than` seconds ago."""
    for renamed in settings.DIGITS_JOBS_DIR.glob(".*.deleted"):
        with suppress(FileNotFoundError):  # another process has deleted it
            if time.time() - renamed.stat().st_ctime > older_than:  # renaming it set that
                shutil.rmtree(renamed)


def _marker(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.creating")


def _lock_new(descriptor: int) -> None:
    """Lock a claim's file. Raises FileExistsError if remove_abandoned() locked it in between."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FileExistsError from None
    except OSError:  # a file system without locks: there nothing is ever taken for abandoned
        return
    if not os.fstat(descriptor).st_nlink:
        raise FileExistsError
