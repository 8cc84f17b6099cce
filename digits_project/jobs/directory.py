"""Job ids and the folders that they name."""

import secrets
import shutil
import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from django.conf import settings


def claim() -> str:
    """A new id, `YYYYMMDD-HHMMSS-xxxx` (UTC, four hex digits), with its empty folder.

    Making the folder is what claims the id: mkdir succeeds for one process only, whatever the kind of job.
    """
    settings.DIGITS_JOBS_DIR.mkdir(parents=True, exist_ok=True)
    while True:
        job_id = f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        try:
            (settings.DIGITS_JOBS_DIR / job_id).mkdir()
        except FileExistsError:
            continue
        return job_id


def remove(directory: Path) -> None:
    """Delete a job's folder; it first leaves its name, so that nobody meets it half deleted."""
    doomed = directory.with_name(f".{directory.name}.deleted")
    try:
        directory.rename(doomed)
    except FileNotFoundError:
        return
    shutil.rmtree(doomed)


def finish_removals(older_than: float = 3600.0) -> None:
    """Delete what processes that were killed in the midst of `remove` have left, so many seconds ago."""
    for doomed in settings.DIGITS_JOBS_DIR.glob(".*.deleted"):
        with suppress(FileNotFoundError):  # another process was quicker
            if time.time() - doomed.stat().st_ctime > older_than:  # renaming it set that
                shutil.rmtree(doomed)
