"""The bytes on disk that the jobs of an owner take.

Each row stores the size of its folder (`disk_bytes`), so that a sum is one query. A change of status or a deleted
snapshot sets it to None; the folder is then measured when the size is needed.
"""

from typing import NamedTuple

from django.db.models import Count, Sum

from digits_project.jobs import disk_usage
from digits_project.jobs.models import Job, Status, job_classes
from digits_project.received import received_file

MAX_MEASURED = 100  # folders measured for one page


class Share(NamedTuple):
    """An owner's number of jobs, and the bytes of those that have been measured."""

    owner: str
    jobs: int
    bytes: int


def used(owner: str) -> int:
    """The bytes of all jobs of an owner, datasets and models with their snapshots, and of the files that it sends."""
    total = received_file.promised_bytes(owner)
    for job_class in job_classes():
        rows = job_class.objects.filter(owner=owner)
        total += rows.aggregate(bytes=Sum("disk_bytes"))["bytes"] or 0
        total += sum(measure(job) for job in rows.filter(disk_bytes=None).only("job_id", "status"))
    return total


def measure(job: Job) -> int:
    """Measure a job's folder and store the size in its row, unless the status has changed meanwhile."""
    size = disk_usage.size(job.directory)
    type(job).objects.filter(pk=job.pk, status=job.status).update(disk_bytes=size)
    return size


def forget(jobs) -> None:
    """Mark the folders of these rows (a queryset) as changed, so that they are measured again."""
    jobs.update(disk_bytes=None)


def shares() -> list[Share]:
    """The share of each owner, largest first. Measures at most MAX_MEASURED folders of each class; the folders of
    running jobs are measured by their workers."""
    found: dict[str, Share] = {}
    for job_class in job_classes():
        unknown = job_class.objects.filter(disk_bytes=None).exclude(status=Status.RUNNING).only("job_id", "status")
        for job in unknown[:MAX_MEASURED]:
            measure(job)
        rows = job_class.objects.order_by().values_list("owner").annotate(Count("pk"), Sum("disk_bytes"))
        for owner, jobs, size in rows:
            before = found.get(owner, Share(owner, 0, 0))
            found[owner] = Share(owner, before.jobs + jobs, before.bytes + (size or 0))
    return sorted(found.values(), key=lambda share: -share.bytes)
