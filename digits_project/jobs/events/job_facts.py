"""The state of jobs and of the queue, as events report it."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Count
from django.utils import timezone

from digits_project.jobs.models import LIST_ORDER, Device, Job, Status, job_classes
from digits_project.jobs.visibility import visible

MAX_JOBS = 500  # running and waiting jobs whose state a client gets that names no job
MIN_DONE, MIN_SECONDS = 0.01, 60.0  # below these no remaining time is estimated
ACTIVE = (Status.WAITING, Status.RUNNING)
DELETED = "Deleted"  # instead of a status, when a job has been deleted


def status_facts(job: Job) -> dict[str, Any]:
    """What an event says of a job whose status has changed."""
    return {
        "name": job.name,
        "owner": job.owner,
        "status": str(job.status),
        "progress": round(job.progress, 4),
        "error": job.error or None,
    }


def progress_facts(job: Job) -> dict[str, Any]:
    """What an event says of the progress of a running job; its speed is that since it last started or resumed."""
    taken = (timezone.now() - job.started_at).total_seconds() if job.started_at else 0.0
    started_with = getattr(job, "resumed_from", 0.0)  # only trainings have it
    return {"progress": round(job.progress, 4), "seconds_left": seconds_left(job.progress, started_with, taken)}


def seconds_left(progress: float, started_with: float, taken: float) -> int | None:
    """The estimated remaining time of a job that has got from `started_with` to `progress` in `taken` seconds; None
    if it has just started."""
    done = progress - started_with
    if done < MIN_DONE and (done <= 0 or taken < MIN_SECONDS):
        return None
    return round(taken * (1 - progress) / done)


def active_jobs() -> Iterator[Job]:
    """The running and the waiting jobs that the user may see, MAX_JOBS of each kind at most."""
    for job_class in job_classes():
        if job_class.IN_INDEX:
            yield from visible(job_class).filter(status__in=ACTIVE).order_by(*LIST_ORDER)[:MAX_JOBS]


def queue_facts() -> dict[str, Any]:
    """The numbers of waiting and running jobs of each kind, and of devices that are on, and of those that are free."""
    counts = {job_class.ROUTE: _active(job_class) for job_class in job_classes() if job_class.IN_INDEX}
    leased = [bool(job) for job in Device.objects.filter(enabled=True).values_list("leased_to", flat=True)]
    return {
        "waiting": {kind: count.get(Status.WAITING, 0) for kind, count in counts.items()},
        "running": {kind: count.get(Status.RUNNING, 0) for kind, count in counts.items()},
        "devices": len(leased),
        "free_devices": leased.count(False),
    }


def _active(job_class: type[Job]) -> dict[str, int]:
    rows: Iterable = job_class.objects.filter(status__in=ACTIVE).order_by().values_list("status").annotate(Count("pk"))
    return dict(rows)
