"""The limits of an owner on a server with accounts: waiting jobs, and bytes on disk.

Services check them, so they hold for every way to create a job. Operators and jobs without an owner have no limits.
"""

import time

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection

from digits_project.accounts.roles import Role, role_of
from digits_project.common.errors import BadInput, DiskLimitReached, LimitReached
from digits_project.jobs import quota
from digits_project.jobs.models import Job, Status, job_classes

MEASURE_SECONDS = 10.0  # how often the folder of a running job is measured
TOO_MUCH = (
    "The jobs of {} take {:,} MiB on disk; at most {:,} MiB are allowed (DIGITS_MAX_OWNER_DISK). Delete jobs or "
    "snapshots, then {}."
)


def applies_to(owner: str) -> bool:
    """Whether this owner has limits."""
    if settings.DIGITS_AUTH != "required" or not owner:
        return False
    user = get_user_model().objects.filter(username=owner).first()
    return user is None or (role_of(user) or Role.VIEWER) < Role.OPERATOR


def refuse_more_disk(owner: str, then: str = "try again") -> None:
    """Raise DiskLimitReached if the jobs of this owner take more bytes than allowed."""
    if excess := _excess(owner, then):
        raise DiskLimitReached(excess)


def disk_left(owner: str) -> int | None:
    """The bytes that the jobs of this owner can still take, below 0 if they take too many; None: there is no limit."""
    most = settings.DIGITS_MAX_OWNER_DISK << 20
    return most - quota.used(owner) if most and applies_to(owner) else None


def refuse_more_waiting(owner: str) -> None:
    """Raise LimitReached if more jobs of this owner wait than allowed. Call it in the transaction that moved a job to
    Waiting: until the transaction ends, no other one can do that for this owner."""
    most = settings.DIGITS_MOST_WAITING
    if not most or not applies_to(owner):
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"waiting jobs of {owner}"])
    if waiting(owner) > most:
        raise LimitReached(f"{most} jobs of yours are waiting already; wait for some of them, or abort them.")


def waiting(owner: str) -> int:
    """The number of waiting jobs of an owner."""
    own = {"owner": owner, "status__in": (Status.INITIALIZED, Status.WAITING)}
    return sum(job_class.objects.filter(**own).count() for job_class in job_classes())


class Watch:
    """Measures the folder of a running job regularly. Raises BadInput if its owner's jobs take too many bytes."""

    def __init__(self, job: Job):
        self.job = job
        self.measured = time.monotonic()

    def __call__(self) -> None:
        if not self.job.FILLS_DISK or time.monotonic() - self.measured < MEASURE_SECONDS:
            return
        self.measured = time.monotonic()
        quota.measure(self.job)
        if excess := _excess(self.job.owner, "resume this job"):
            raise BadInput(excess)


def _excess(owner: str, then: str) -> str:
    """The message for an owner whose jobs take too many bytes; "" if they don't."""
    left = disk_left(owner)
    if left is None or left >= 0:
        return ""
    most = settings.DIGITS_MAX_OWNER_DISK
    return TOO_MUCH.format(owner, most + (-left + (1 << 20) - 1 >> 20), most, then)
