"""How many bytes on disk the jobs of an owner take.

Each row keeps the size of its job's folder (`disk_bytes`), so that a sum is one query. It is None, and the folder is
measured when the size is asked for, after anything that changes a folder: a change of status, a snapshot that goes.
"""

from typing import NamedTuple

from django.db.models import Count, Sum

from digits_project.jobs import disk_usage
from digits_project.jobs.models import Job, Status, job_kinds

MAX_MEASURED = 100  # folders, for one page


class Share(NamedTuple):
    """What an owner has: jobs, and the bytes that those take which have been measured."""

    owner: str
    jobs: int
    bytes: int


def used(owner: str) -> int:
    """Bytes that the jobs of an owner take: datasets, models with their snapshots, what was uploaded for them."""
    total = 0
    for kind in job_kinds():
        rows = kind.objects.filter(owner=owner)
        total += rows.aggregate(bytes=Sum("disk_bytes"))["bytes"] or 0
        total += sum(measure(job) for job in rows.filter(disk_bytes=None).only("job_id", "status"))
    return total


def measure(job: Job) -> int:
    """The size of a job's folder now, kept in its row unless the status has changed meanwhile."""
    size = disk_usage.size(job.directory)
    type(job).objects.filter(pk=job.pk, status=job.status).update(disk_bytes=size)
    return size


def forget(jobs) -> None:
    """Have the folders of these rows, a queryset, measured again: something in them has changed."""
    jobs.update(disk_bytes=None)


def shares() -> list[Share]:
    """The owners and what they have, the largest first. At most MAX_MEASURED folders of each kind are measured for it;
    those of jobs that run their workers measure."""
    found: dict[str, Share] = {}
    for kind in job_kinds():
        unknown = kind.objects.filter(disk_bytes=None).exclude(status=Status.RUNNING).only("job_id", "status")
        for job in unknown[:MAX_MEASURED]:
            measure(job)
        rows = kind.objects.order_by().values_list("owner").annotate(Count("pk"), Sum("disk_bytes"))
        for owner, jobs, size in rows:
            before = found.get(owner, Share(owner, 0, 0))
            found[owner] = Share(owner, before.jobs + jobs, before.bytes + (size or 0))
    return sorted(found.values(), key=lambda share: -share.bytes)
