"""Writes a backup: the database and the jobs folders in one tar, while the server runs.

The database is dumped first and the files are copied after it, so every row in the dump has its files. No job is held
up. Incomplete files, and files that can be computed again (decoded pixels, features), are left out.

    backup.json     the manifest: version, applied migrations, the jobs
    database.dump   pg_dump, custom format
    jobs/ID/...     as in DIGITS_JOBS_DIR
    end.json        the summary; a backup without it is incomplete
"""

import contextlib
import io
import json
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from digits_project.jobs.backup import postgres_tools
from digits_project.jobs.models import Job, Status, job_classes

FORMAT = 1
COPIED_AT_ONCE = 2**20  # bytes
MANIFEST, DUMP, END = "backup.json", "database.dump", "end.json"
HALF_WRITTEN = (".part",)
MADE_AGAIN = (".pixels", ".features")
RECORDS = (".rec", ".idx")  # of a dataset; with `archive` they are the images
ARCHIVE = "archive"


Report = Callable[[int, int], None]  # (done, total), in bytes


@dataclass
class Summary:
    """The contents of a backup, and the files that were missing."""

    jobs: int = 0
    files: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)  # deleted or unreadable by then


@dataclass(frozen=True)
class Entry:
    """A file or folder for the tar: its path, and its name in the tar."""

    path: Path
    name: str
    size: int


class BackupTar(tarfile.TarFile):
    """The tar of a backup."""

    copybufsize: int | None  # bytes copied at once; tarfile does not document it


def no_report(done: int, total: int) -> None:
    """The default progress report: does nothing."""


def make(target: Path, *, records: bool = True, report: Report = no_report) -> Summary:
    """Write the backup to `target`, which must not exist, atomically and with mode 0600.

    `report(done, total)` gets bytes. Raises FileExistsError, OSError and ToolFailed.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists already; a backup never replaces a file. Choose another name")
    with _aside(target) as aside, tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as scratch:
        dump = Path(scratch, DUMP)
        manifest, jobs = _dump_database(dump)
        manifest["records"] = records
        summary = Summary(jobs=len(jobs))
        with aside.open("wb") as file, BackupTar.open(fileobj=file, mode="w|") as tar:
            tar.copybufsize = COPIED_AT_ONCE
            _add_text(tar, MANIFEST, manifest)
            _add(tar, Entry(dump, DUMP, dump.stat().st_size), lambda written: None)
            _add_folders(tar, jobs, records, summary, report)
            _add_text(tar, END, vars(summary))
            tar.close()
            file.flush()
            os.fsync(file.fileno())
        aside.rename(target)
    return summary


@contextlib.contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A temporary file of mode 0600 beside the target; removed at the end if it has not been renamed."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _dump_database(path: Path) -> tuple[dict, list[Job]]:
    """Dump the database to `path`. Returns the manifest and the jobs from the same database snapshot."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT pg_export_snapshot()")
        [snapshot] = cursor.fetchone()
        postgres_tools.dump(path, snapshot)
        jobs = [job for job_class in job_classes() for job in job_class.objects.only("pk", "status").order_by("pk")]
        applied = sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())
    made_at = timezone.now().isoformat(timespec="seconds")
    return {"format": FORMAT, "made_at": made_at, "migrations": applied, "jobs": [job.pk for job in jobs]}, jobs


def _add_folders(tar, jobs: list[Job], records: bool, summary: Summary, report: Report) -> None:
    entries = [entry for job in jobs for entry in _entries(job, records, summary)]
    total = sum(entry.size for entry in entries)
    done = 0

    def advance(written: int) -> None:
        nonlocal done
        done += written
        report(done, max(total, done))

    for entry in entries:
        try:
            _add(tar, entry, advance)
        except OSError as error:
            if not isinstance(error, (FileNotFoundError, PermissionError)):
                raise
            summary.missing.append(entry.name)
        else:
            summary.files += 1
    summary.bytes = done


def _entries(job: Job, records: bool, summary: Summary) -> list[Entry]:
    """The entries of a job's folder for the backup; a folder comes before its contents."""
    with_images = records or job.status != Status.DONE  # an unfinished build still needs its uploaded archive

    def wanted(name: str) -> bool:
        if name.startswith(".") or name.endswith((*HALF_WRITTEN, *MADE_AGAIN)):
            return False
        return with_images or not (name.endswith(RECORDS) or name == ARCHIVE)

    found = []
    walk = os.walk(job.directory.resolve(), onerror=lambda error: summary.missing.append(f"jobs/{job.pk}"))
    for folder, folders, files in walk:
        name = Path("jobs", job.pk, Path(folder).relative_to(job.directory.resolve()))
        folders[:] = sorted(filter(wanted, folders))
        found.append(Entry(Path(folder), str(name), 0))
        for file in sorted(filter(wanted, files)):
            with contextlib.suppress(FileNotFoundError):  # deleted since the listing
                status = Path(folder, file).lstat()
                if stat.S_ISREG(status.st_mode):
                    found.append(Entry(Path(folder, file), str(name / file), status.st_size))
    return found


def _add(tar: tarfile.TarFile, entry: Entry, advance: Callable[[int], None]) -> None:
    """Add one folder, or one file with its current length, because a log can grow meanwhile."""
    handle = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        status = os.fstat(handle)
        member = tarfile.TarInfo(entry.name)
        member.mode, member.mtime = stat.S_IMODE(status.st_mode) & 0o755, int(status.st_mtime)
        if stat.S_ISDIR(status.st_mode):
            member.type = tarfile.DIRTYPE
            tar.addfile(member)
        else:
            member.size = status.st_size
            tar.addfile(member, _Exactly(handle, status.st_size, advance))
    finally:
        os.close(handle)


class _Exactly(io.RawIOBase):
    """Reads exactly so many bytes of a file: no more if it grows, padded with zeros if it was truncated."""

    def __init__(self, handle: int, size: int, advance: Callable[[int], None]):
        self._handle, self._left, self._advance = handle, size, advance

    def read(self, most: int = -1) -> bytes:
        wanted = self._left if most < 0 else min(most, self._left)
        read = os.read(self._handle, wanted).ljust(wanted, b"\0")
        self._left -= len(read)
        self._advance(len(read))
        return read


def _add_text(tar: tarfile.TarFile, name: str, content: dict) -> None:
    text = json.dumps(content, indent=1).encode()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(text), 0o600
    tar.addfile(member, io.BytesIO(text))
