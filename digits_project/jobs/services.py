"""What may be done to a job of either kind. Routes, admin and commands all come through here."""

import logging
import time
from collections.abc import Callable, Sequence

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models.functions import Coalesce, Now

from digits_project.accounts import audit
from digits_project.common import errors
from digits_project.common.errors import Gone, HasDependents, Refused
from digits_project.jobs import directory, lifecycle, limits
from digits_project.jobs.models import Device, Job, Status
from digits_project.jobs.process_identity import Process
from digits_project.jobs.scheduling.dispatch import dispatch_or_leave
from digits_project.jobs.visibility import named

log = logging.getLogger(__name__)

ABORT_SECONDS = 15  # the reaper ends what does not listen after 5


def submit(job: Job, limited: bool = True) -> Job:
    """Check a new, unsaved job, give it its id and folder, and let it wait.

    Raises ValidationError or LimitReached, nothing saved. `limited`: whether its owner's limits hold for it; not for
    what the server makes by itself.
    """
    if limited and job.FILLS_DISK:
        limits.refuse_more_disk(job.owner)
    job.full_clean(exclude=["job_id"])
    claim = directory.claim()
    job.job_id = claim.job_id
    try:
        with transaction.atomic():
            job.save(force_insert=True)
            audit.record("create", str(job))
            lifecycle.advance(job, Status.WAITING)
            if limited:
                limits.refuse_more_waiting(job.owner)
            transaction.on_commit(claim.settle)
            transaction.on_commit(dispatch_or_leave)
    except BaseException:
        directory.remove(job.directory)
        raise
    return job


def take_in(job: Job, fill: Callable[[Job], None]) -> Job:
    """Store a job that was done elsewhere, under the id that it has: `fill` puts what belongs there into its folder,
    and the job is Done; or nothing stays.

    Raises FileExistsError where the id is taken, DiskLimitReached, and what `fill` raises.
    """
    limits.refuse_more_disk(job.owner)
    settings.DIGITS_JOBS_DIR.mkdir(parents=True, exist_ok=True)
    claim = directory.Claim(job.job_id)
    try:
        with transaction.atomic():
            transaction.on_commit(claim.settle)
            job.save(force_insert=True)
            audit.record("import", str(job))
            lifecycle.advance(job, Status.RUNNING, worker=str(Process.current()))
            fill(job)
            lifecycle.advance(job, Status.DONE)
    except BaseException:
        directory.remove(job.directory)
        raise
    return job


def abort(job: Job) -> None:
    """Stop a job that has not ended: a waiting one at once, a running one as soon as it looks, twice a second.

    One that does not look is killed by the reaper after five seconds. Raises Refused or Gone.
    """
    for status in (Status.INITIALIZED, Status.WAITING):
        if lifecycle.try_advance(job, Status.ABORTED, only_from=status):
            audit.record("abort", str(job))
            dispatch_or_leave()
            return
    running = type(job).objects.filter(pk=job.pk, status=Status.RUNNING)
    # The first request counts: from it the reaper measures how long the job has not listened.
    asked = running.update(abort_requested_at=Coalesce("abort_requested_at", Now()))
    _refresh(job)
    if not asked:
        raise Refused(f"{job.name} has ended ({job.status}); there is nothing to abort.")
    audit.record("abort", str(job))


def resume(job: Job) -> None:
    """Let a job that was aborted or failed wait again; it goes on from the last thing that it finished.

    Raises Refused if it can't run, IllegalTransition if it is in no such state, or LimitReached.
    """
    resumable = (Status.ABORTED, Status.ERROR)
    if job.FILLS_DISK:
        limits.refuse_more_disk(job.owner, "resume this job")
    with transaction.atomic():
        if not lifecycle.try_advance(job, Status.WAITING, only_from=resumable, note="Resumed.", lost_processes=0):
            raise errors.IllegalTransition(f"{job} is {job.status}; what was aborted or has failed can be resumed")
        limits.refuse_more_waiting(job.owner)
        audit.record("resume", str(job))
    dispatch_or_leave()
    _refresh(job)
    if job.status == Status.ERROR:
        raise Refused(f"{job.name} can't go on: {job.error}")


def delete(job: Job) -> None:
    """Remove a job, its row and its folder; a running one is aborted first. Raises HasDependents or Refused.

    Of several that delete a job at once each succeeds.
    """
    _refuse_dependents(job)
    try:
        _bring_to_an_end(job)
    except Gone:
        return
    with transaction.atomic():
        locked = type(job).objects.select_for_update().filter(pk=job.pk).first()
        if locked is None:
            return
        _refuse_dependents(locked)
        parts = locked.parts()
        locked.delete()
        audit.record("delete", str(job))
    for gone in (job, *parts):  # a part that runs sees within a second that its row is gone
        directory.remove(gone.directory)
    dispatch_or_leave()
    log.info("%s is deleted", job)


def edit(job: Job, name: str | None = None, notes: str | None = None) -> None:
    """Change a job's name or notes. Raises ValidationError or Gone."""
    changes = {field: value for field, value in (("name", name), ("notes", notes)) if value is not None}
    for field, value in changes.items():
        setattr(job, field, value)
    job.clean_fields(exclude=[field.name for field in job._meta.fields if field.name not in changes])
    if not type(job).objects.filter(pk=job.pk).update(**changes):
        raise Gone
    audit.record("edit", str(job), ", ".join(changes))


def share(job: Job, groups: Sequence[Group]) -> None:
    """Show a job to the accounts of these groups too, and of no others, on a private server. Raises Gone."""
    with transaction.atomic():
        if not type(job).objects.select_for_update(no_key=True).filter(pk=job.pk).exists():
            raise Gone
        job.shared_with.set(groups)
    audit.record("share", str(job), ", ".join(group.name for group in groups) or "nobody")


def set_priority(job: Job, priority: int) -> None:
    """Let a job run before those of a lower priority, from the next dispatch on. Raises Gone."""
    if not type(job).objects.filter(pk=job.pk).update(priority=priority):
        raise Gone
    audit.record("change priority", str(job), str(priority))
    dispatch_or_leave()


def switch_device(device: Device, on: bool) -> None:
    """Give a device to new jobs, or to none from now on: the job that has it goes on."""
    Device.objects.filter(pk=device.pk).update(enabled=on)
    audit.record("change device", str(device), f"enabled: {on}")
    dispatch_or_leave()


def break_lease(device: Device) -> None:
    """Take a device from the job that holds it. That job is not stopped: the next may meet it there."""
    holder = device.leased_to
    if Device.objects.filter(pk=device.pk, leased_to=holder).exclude(leased_to="").update(leased_to=""):
        audit.record("break lease", str(device), f"of {holder}")
        dispatch_or_leave()


def _refuse_dependents(job: Job) -> None:
    if dependents := job.dependents():
        names = ", ".join(named(other) for other in dependents[:5])
        raise HasDependents(f"{len(dependents)} job(s) depend on {job.name}: {names}. Delete them first.")


def _bring_to_an_end(job: Job) -> None:
    """Abort what has not ended and wait for it."""
    deadline = time.monotonic() + ABORT_SECONDS
    while not job.has_ended:
        if not job.abort_requested_at:
            try:
                abort(job)
            except Refused:
                return  # it ended by itself meanwhile
        if time.monotonic() > deadline:
            raise Refused(f"{job.name} does not stop; try again when it is {Status.ABORTED}.")
        time.sleep(0.1)
        _refresh(job)


def _refresh(job: Job) -> None:
    try:
        job.refresh_from_db()
    except ObjectDoesNotExist:
        raise Gone from None
