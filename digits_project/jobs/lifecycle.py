"""The only writer of a job's status. Every change is one UPDATE that names the allowed previous statuses.

    Initialized ──► Waiting ──► Running ──► Done
         │            │  ▲        │ │
         │            │  └────────┘ └─────► Error, Aborted
         └────────────┴───────────────────► Error, Aborted ──► Waiting (resume)

If eight processes race to start a job, exactly one wins, and a late "done" can't overwrite "aborted".
"""

import logging
from collections.abc import Collection

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import F, Func, JSONField, Value
from django.dispatch import Signal
from django.utils import timezone

from digits_project.common.errors import IllegalTransition
from digits_project.jobs.events import event_log
from digits_project.jobs.events.job_facts import status_facts
from digits_project.jobs.models import ENDED, Job, Status

log = logging.getLogger(__name__)

SOURCES = {
    Status.WAITING: (Status.INITIALIZED, Status.RUNNING, Status.ABORTED, Status.ERROR),
    Status.RUNNING: (Status.INITIALIZED, Status.WAITING),
    Status.DONE: (Status.RUNNING,),
    Status.ABORTED: (Status.INITIALIZED, Status.WAITING, Status.RUNNING),
    Status.ERROR: (Status.INITIALIZED, Status.WAITING, Status.RUNNING),
}


job_ended = Signal()  # sent with `job` in the transaction that ends it; a receiver that fails undoes the end


class _Append(Func):
    """jsonb || jsonb: appends to the list within the UPDATE, so that no entry is lost in a race."""

    template = "%(expressions)s"
    arg_joiner = " || "
    output_field = JSONField()


def advance(
    job: Job,
    to: Status,
    *,
    held_by: str | None = None,
    only_from: Status | Collection[Status] | None = None,
    note: str = "",
    **changes,
) -> None:
    """Move the row to `to` and set `changes` in the same UPDATE, or raise IllegalTransition and change nothing.

    `held_by`: only while that worker runs the job. `only_from`: only from these of the allowed statuses. `note`: a text
    for the history.
    """
    now = timezone.now()
    sources = set(SOURCES.get(to, ()))
    if only_from:
        sources &= {only_from} if isinstance(only_from, Status) else set(only_from)
    rows = type(job).objects.filter(pk=job.pk, status__in=sources)
    if held_by is not None:
        rows = rows.filter(worker=held_by)
    if to in (Status.DONE, Status.WAITING):  # a client that got "aborted" never sees the job Done or running again
        rows = rows.exclude(status=Status.RUNNING, abort_requested_at__isnull=False)
    change = [to, now.isoformat(timespec="milliseconds"), *([note] if note else [])]
    entry = Value([change], JSONField())
    history = _Append(F("status_history"), entry)
    with transaction.atomic():
        moved = rows.update(status=to, status_history=history, **(_side_effects(to, now) | changes))
        try:
            job.refresh_from_db()
        except ObjectDoesNotExist:
            raise IllegalTransition(f"{job} was deleted and cannot become {to}") from None
        if not moved:
            raise IllegalTransition(f"{job} is {job.status} and cannot become {to}")
        if to in ENDED:
            job_ended.send(type(job), job=job)
    event_log.publish("status", job, **status_facts(job))
    log.info("%s is %s%s", job, to, f": {job.error}" if job.error else "")


def try_advance(job: Job, to: Status, **conditions_and_changes) -> bool:
    """Like advance(), but returns False instead of raising IllegalTransition, for callers that can lose a race."""
    try:
        advance(job, to, **conditions_and_changes)
    except IllegalTransition as second:
        log.info("Not moved: %s", second)
        return False
    return True


def _side_effects(to: Status, now) -> dict:
    """The columns that depend on the status alone. The folder changes with the status, so it is measured again."""
    changed: dict = {"disk_bytes": None}
    if to == Status.WAITING:
        changed |= {"started_at": None, "ended_at": None, "abort_requested_at": None, "error": "", "worker": ""}
    if to == Status.RUNNING:
        changed |= {"started_at": now, "heartbeat_at": now, "progress": 0}
    if to in ENDED:
        changed |= {"ended_at": now}
    if to == Status.DONE:
        changed |= {"progress": 1}
    return changed
