"""Restores a backup into a server without jobs: first the files, then the rows, all or nothing.

The tar is treated as hostile: this code checks and writes each member itself, and extracts nothing by name.
"""

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.core.management import call_command
from django.db import Error as DatabaseFailure
from django.db import connection
from django.db.migrations.exceptions import BadMigrationError, InconsistentMigrationHistory, NodeNotFoundError
from django.db.migrations.loader import MigrationLoader

from digits_project.common.job_ids import JOB_ID
from digits_project.jobs import lifecycle
from digits_project.jobs.backup import postgres_tools
from digits_project.jobs.backup.backup_writer import COPIED_AT_ONCE, DUMP, END, FORMAT, MANIFEST, Report, no_report
from digits_project.jobs.backup.members import (
    BackupMember,
    NotWhole,
    check_manifest,
    check_plain,
    open_member,
    printable,
    read_text,
    refusing,
)
from digits_project.jobs.models import Status, job_classes

STRANGE_TABLES = (DatabaseFailure, BadMigrationError, InconsistentMigrationHistory, NodeNotFoundError)
SQUASHED = "_squashed_"  # in the name of each migration that replaces others
WHY = "Restored from a backup that was made while the job ran."

# Functions of triggers, which stay when their tables are dropped. Those of extensions are PostgreSQL's.
OWN_FUNCTIONS = """
SELECT p.oid::regprocedure::text FROM pg_proc p
WHERE p.pronamespace = current_schema()::regnamespace AND p.prokind = 'f'
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""


class RestoreRefused(Exception):
    """The backup can't be restored here; the text tells the operator why."""


def restore(source: Path, report: Report = no_report) -> dict:
    """Restore the backup into this server. Returns its manifest. `report(done, total)` gets bytes.

    Raises RestoreRefused, OSError and ToolFailed; then the server still has no jobs, and the restore can be repeated.
    """
    refuse_unless_empty()
    settings.DIGITS_JOBS_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=settings.DIGITS_JOBS_DIR) as scratch:
        aside = Path(scratch)
        try:
            manifest = _unpack(source, aside, report)
        except NotWhole as error:
            raise RestoreRefused(f"{source} is not a complete backup: {error}") from error
        postgres_tools.check(aside / DUMP)
        placed = []
        try:
            for folder in sorted((aside / "jobs").iterdir()):
                placed.append(folder.rename(settings.DIGITS_JOBS_DIR / folder.name))
            _load(aside / DUMP)
            _requeue_running()
        except BaseException as failure:
            for folder in placed:
                shutil.rmtree(folder)
            if isinstance(failure, STRANGE_TABLES):
                raise RestoreRefused(f"The tables of {source} are not those of this server: {failure}") from failure
            raise
    return manifest


def refuse_unless_empty() -> None:
    """Raise RestoreRefused if there are jobs, or if the server runs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        [others] = cursor.fetchone()
    if others:
        raise RestoreRefused(f"Stop the server first: {others} connections use its database.")
    tables = set(connection.introspection.table_names())
    rows = sum(job_class.objects.count() for job_class in job_classes() if job_class._meta.db_table in tables)
    folders = _job_folders()
    if rows or folders:
        raise RestoreRefused(
            f"There are jobs here: {rows} in the database, {folders} folders in {settings.DIGITS_JOBS_DIR}. "
            "A backup is restored only where there are none: with an empty DIGITS_HOME, or an empty database and "
            "DIGITS_JOBS_DIR."
        )


def _job_folders() -> int:
    if not settings.DIGITS_JOBS_DIR.is_dir():
        return 0
    return sum(1 for path in settings.DIGITS_JOBS_DIR.iterdir() if JOB_ID.fullmatch(path.name))


def _unpack(source: Path, aside: Path, report: Report) -> dict:
    """Unpack the tar into `aside`. Returns its manifest."""
    size = source.stat().st_size
    free = shutil.disk_usage(aside).free
    if free < size:
        left = f"{settings.DIGITS_JOBS_DIR} has {free / 2**30:.1f} GiB left"
        raise RestoreRefused(f"The backup takes {size / 2**30:.1f} GiB, but {left}.")
    (aside / "jobs").mkdir()
    ended = False
    with refusing(), tarfile.open(source, "r|", tarinfo=BackupMember) as tar:
        members = iter(tar)
        manifest = read_text(tar, _next(members, MANIFEST))
        jobs = _checked(manifest)
        _write(tar, _next(members, DUMP), aside / DUMP)
        for member in members:
            if ended := member.name == END:
                break
            _place(tar, member, aside, jobs)
            report(member.offset_data + member.size, size)
    if not ended:
        raise RestoreRefused(f"{source} is cut off: its end is missing.")
    return manifest


def _next(members: Iterator[tarfile.TarInfo], name: str) -> tarfile.TarInfo:
    member = next(members, None)
    if member is None or member.name != name:
        raise ValueError(f"{name} is missing, or in the wrong place")
    return member


def _checked(manifest: dict) -> frozenset[str]:
    """The ids of the manifest's jobs. Raises RestoreRefused if this version can't read the backup."""
    if manifest["format"] != FORMAT:
        raise RestoreRefused(
            f"This backup has the format {printable(str(manifest['format']))}; this version reads {FORMAT}."
        )
    check_manifest(manifest)
    known = {f"{app}.{name}" for app, name in MigrationLoader(connection).disk_migrations}
    # The migrations that a squashed one replaces are named beside it, and it can be gone since then.
    unknown = sorted(name for name in set(manifest["migrations"]) - known if SQUASHED not in name)
    if unknown:
        raise RestoreRefused(
            f"A newer version made this backup: this one does not know {printable(', '.join(unknown[:3]))}."
        )
    return frozenset(job for job in manifest["jobs"] if JOB_ID.fullmatch(job))


def _place(tar: tarfile.TarFile, member: tarfile.TarInfo, aside: Path, jobs: frozenset[str]) -> None:
    """Write one folder or file of a job."""
    parts = PurePosixPath(member.name).parts
    if "/".join(parts) != member.name or parts[:1] != ("jobs",) or ".." in parts or not set(parts[1:2]) & jobs:
        raise ValueError(f"{printable(member.name)} is not in the folder of one of its jobs")
    check_plain(member)
    path = aside.joinpath(*parts)
    if member.isdir():
        path.mkdir(mode=0o755)
    elif len(parts) == len(("jobs", "ID")):
        raise ValueError(f"{printable(member.name)} is a file, not the folder of a job")
    else:
        _write(tar, member, path)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    check_plain(member)
    if not member.isreg():
        raise ValueError(f"{printable(member.name)} is not a file")
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, member.mode & 0o755 | 0o600)
    with os.fdopen(handle, "wb") as file, open_member(tar, member) as content:
        shutil.copyfileobj(content, file, COPIED_AT_ONCE)
        if file.tell() != member.size:
            raise ValueError(f"{printable(member.name)} is cut off")
    os.utime(path, (member.mtime, member.mtime))


def _load(dump: Path) -> None:
    """Replace what `migrate` and the first start created by the tables and functions of the dump, and migrate them."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"DROP TABLE IF EXISTS {connection.ops.quote_name(table)} CASCADE")  # nosec B608 (quoted)
        cursor.execute(OWN_FUNCTIONS)
        for (function,) in cursor.fetchall():
            cursor.execute(f"DROP FUNCTION {function}")  # nosec B608 (regprocedure quotes it)
    connection.close()
    postgres_tools.load(dump)
    call_command("migrate", interactive=False, verbosity=0)


def _requeue_running() -> None:
    """Move jobs that ran during the backup to Waiting, or to Aborted if an abort was requested. No loss is counted."""
    for job in (job for job_class in job_classes() for job in job_class.objects.filter(status=Status.RUNNING)):
        if job.abort_requested_at or not lifecycle.try_advance(job, Status.WAITING, note=WHY):
            lifecycle.try_advance(job, Status.ABORTED)
