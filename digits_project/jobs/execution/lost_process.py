"""Handles a job whose process died: another process continues it, unless it has lost too many."""

from typing import Any

from django.db import transaction

from digits_project.jobs import lifecycle
from digits_project.jobs.models import Job, Status

MAX_LOST_PROCESSES = 3  # in a row without progress; a new snapshot of a model resets the count


@transaction.atomic
def handle_lost_process(job: Job, reason: str) -> None:
    """Move a running job whose process is dead to its next status; do nothing if the process no longer runs it.

    The status is Aborted if an abort was requested, Waiting if the job can go on, else Error with the reason.
    Incomplete files are removed; the row is locked meanwhile, so that no other process starts the job. The caller
    dispatches."""
    rows = type(job).objects.select_for_update(of=("self",))
    row = rows.filter(pk=job.pk, status=Status.RUNNING, worker=job.worker).first()
    if row is None:
        return
    row.clear_away()
    lost = row.lost_processes + 1
    held: dict[str, Any] = {"held_by": row.worker, "only_from": Status.RUNNING, "lost_processes": lost}
    if not row.abort_requested_at and lost >= MAX_LOST_PROCESSES:
        lifecycle.try_advance(row, Status.ERROR, error=_lost_too_often(row, reason), **held)
    elif row.abort_requested_at or not lifecycle.try_advance(row, Status.WAITING, note=reason, **held):
        lifecycle.try_advance(row, Status.ABORTED, **held)


def _lost_too_often(job: Job, reason: str) -> str:
    return (
        f"{reason} The job has lost {MAX_LOST_PROCESSES} processes without {job.MILESTONE}, so it is not retried "
        "automatically. Fix what ends its processes, then resume it."
    )
