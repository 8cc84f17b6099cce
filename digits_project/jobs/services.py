"""The actions on jobs: submit, abort, resume, delete, edit. Routes, admin and commands all call these."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models.functions import Coalesce, Now

from digits_project.accounts import audit
from digits_project.common import errors
from digits_project.common.errors import Gone, HasDependents, Refused
from digits_project.jobs import directory, lifecycle, limits
from digits_project.jobs.events import event_log
from digits_project.jobs.events.job_facts import DELETED, status_facts
from digits_project.jobs.models import RESUMED, Device, J, Job, Status
from digits_project.jobs.process_identity import Process
from digits_project.jobs.scheduling.dispatch import dispatch_or_leave
from digits_project.jobs.visibility import named

log = logging.getLogger(__name__)

ABORT_SECONDS = 15  # the reaper kills a job that does not stop within 5


def submit(job: J, limited: bool = True) -> J:
    """Check a new, unsaved job, give it an id and a folder, save it and move it to Waiting.

    Raises ValidationError or LimitReached; then nothing is saved. `limited`: whether the owner's limits apply; they do
    not for jobs that the server creates by itself.
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


def take_in(job: J, fill: Callable[[J], None]) -> J:
    """Store a job that was done elsewhere, with its own id or a new one: `fill` writes its folder, and the job is Done.

    If anything fails, nothing is stored. Raises FileExistsError if the id is taken, DiskLimitReached, and the
    exceptions of `fill`.
    """
    limits.refuse_more_disk(job.owner)
    settings.DIGITS_JOBS_DIR.mkdir(parents=True, exist_ok=True)
    claim = directory.Claim(job.job_id) if job.job_id else directory.claim()
    job.job_id = claim.job_id
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
    """Abort a job that has not ended, and those that it has started: a waiting job at once, a running one at its next
    check, about twice a second.

    The reaper kills a job that does not stop within five seconds. Raises Refused or Gone.
    """
    _abort_one(job)
    for started in job.started_jobs():
        with suppress(Refused, Gone):  # it has ended meanwhile
            _abort_one(started)


def _abort_one(job: Job) -> None:
    while True:
        for status in (Status.INITIALIZED, Status.WAITING):
            if lifecycle.try_advance(job, Status.ABORTED, only_from=status):
                audit.record("abort", str(job))
                dispatch_or_leave()
                return
        running = type(job).objects.filter(pk=job.pk, status=Status.RUNNING)
        # The first request counts: the reaper measures from it how long the job has not stopped.
        asked = running.update(abort_requested_at=Coalesce("abort_requested_at", Now()))
        _refresh(job)
        if asked:
            audit.record("abort", str(job))
            return
        if job.has_ended:
            raise Refused(f"{job.name} has ended ({job.status}); there is nothing to abort.")
        # Between the attempts it went back to Waiting, because it lost its process, or started: try again.


def resume(job: Job) -> None:
    """Move an aborted or failed job back to Waiting; it continues from its last completed step.

    Raises Refused if it can't run, IllegalTransition if it is neither aborted nor failed, or LimitReached.
    """
    resumable = (Status.ABORTED, Status.ERROR)
    if job.FILLS_DISK:
        limits.refuse_more_disk(job.owner, "resume this job")
    with transaction.atomic():
        if not lifecycle.try_advance(job, Status.WAITING, only_from=resumable, note=RESUMED, **job.RESET_BY_RESUME):
            raise errors.IllegalTransition(f"{job} is {job.status}; only an aborted or failed job can be resumed")
        limits.refuse_more_waiting(job.owner)
        audit.record("resume", str(job))
    dispatch_or_leave()
    _refresh(job)
    if job.status == Status.ERROR:
        raise Refused(f"{job.name} can't continue: {job.error}")


def delete(job: Job) -> None:
    """Delete a job, its row and its folder; a running job is aborted first. Raises HasDependents or Refused.

    If several processes delete a job at the same time, all succeed.
    """
    _refuse_dependents(job)
    try:
        _abort_and_wait(job)
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
        event_log.publish("status", job, **status_facts(job) | {"status": DELETED})
    for gone in (job, *parts):  # a running part notices within a second that its row is gone
        for folder in gone.folders():
            directory.remove(folder)
    dispatch_or_leave()
    log.info("%s was deleted", job)


def stop_together(jobs: Iterable[Job]) -> None:
    """Ask jobs that can be deleted to stop, so that their deletions wait for all of them at the same time."""
    for job in jobs:
        if not job.has_ended and not job.dependents():
            with suppress(Refused, Gone):  # it has ended meanwhile
                abort(job)


def edit(job: Job, name: str | None = None, notes: str | None = None, group_name: str | None = None) -> None:
    """Change a job's name, its notes or its group. Raises ValidationError or Gone."""
    given = {"name": name, "notes": notes, "group_name": group_name}
    changes = {field: value for field, value in given.items() if value is not None}
    for field, value in changes.items():
        setattr(job, field, value)
    job.clean_fields(exclude=[field.name for field in job._meta.fields if field.name not in changes])
    _change(job, **changes)
    audit.record("edit", str(job), ", ".join(changes))


def share(job: Job, groups: Sequence[Group]) -> None:
    """Set the groups whose members can also see the job on a private server. Raises Gone."""
    with transaction.atomic():
        if not type(job).objects.select_for_update(no_key=True).filter(pk=job.pk).exists():
            raise Gone
        job.shared_with.set(groups)
    audit.record("share", str(job), ", ".join(group.name for group in groups) or "nobody")


def set_priority(job: Job, priority: int) -> None:
    """Set a job's priority; the next dispatch runs it before jobs of a lower priority. Raises Gone."""
    _change(job, priority=priority)
    audit.record("change priority", str(job), str(priority))
    dispatch_or_leave()


def _change(job: Job, **changes) -> None:
    """Set columns of a job, and tell open pages. Raises Gone."""
    with transaction.atomic():  # the row stays locked until the event has its status
        if not type(job).objects.filter(pk=job.pk).update(**changes):
            raise Gone
        _refresh(job)
        event_log.publish("status", job, **status_facts(job))


def switch_device(device: Device, on: bool) -> None:
    """Switch a device on or off for new jobs. A job that holds it continues."""
    Device.objects.filter(pk=device.pk).update(enabled=on)
    audit.record("change device", str(device), f"enabled: {on}")
    dispatch_or_leave()


def break_lease(device: Device) -> None:
    """Free a device that a job holds. The job is not stopped, so it and the next job can share the device."""
    holder = device.leased_to
    if Device.objects.filter(pk=device.pk, leased_to=holder).exclude(leased_to="").update(leased_to=""):
        audit.record("break lease", str(device), f"of {holder}")
        dispatch_or_leave()


def _refuse_dependents(job: Job) -> None:
    if dependents := job.dependents():
        names = ", ".join(named(other) for other in dependents[:5])
        raise HasDependents(f"{len(dependents)} job(s) depend on {job.name}: {names}. Delete them first.")


def _abort_and_wait(job: Job) -> None:
    """Abort the job if it has not ended, and wait for its end."""
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
