"""Decides which jobs can run now. Waiting jobs and free devices are read from PostgreSQL; RQ only gets the result.

It runs after every create, end, resume and device change, and regularly in the reaper. If one call could not do
something, or Redis lost it, the next call does it.
"""

import logging

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import QuerySet
from redis.exceptions import RedisError

from digits_project.jobs import lifecycle
from digits_project.jobs.models import Device, Job, Status, job_classes
from digits_project.jobs.scheduling import devices, queues
from digits_project.jobs.scheduling.device_choice import hosts_in_order
from digits_project.jobs.scheduling.device_pool import DevicePool

log = logging.getLogger(__name__)

TURN = 0x44494749  # the number of the advisory lock, "DIGI"; only one dispatcher runs at a time


def dispatch() -> None:
    """Fail jobs that can never run, free the devices of ended jobs, and queue the jobs that can run now."""
    workers = queues.live_workers()
    with transaction.atomic():
        _take_turn()
        _fail_unrunnable()
        _free_devices(workers)
        chosen = [placement for job_class in job_classes() for placement in _place(job_class, workers)]
    for queue_name, job in chosen:
        queues.enqueue(queue_name, job.TASK, job.pk, attempt=job.attempt)


def dispatch_or_leave() -> None:
    """Dispatch now. If Redis or PostgreSQL can't be reached, the job stays Waiting and the reaper dispatches it
    later."""
    try:
        dispatch()
    except (RedisError, OperationalError, InterfaceError) as away:
        log.warning("Left the dispatch to the reaper: %s", away)


def lease_here(job: Job) -> list[Device]:
    """Lease devices of this host for a waiting job that will run without a worker; [] while they are not free. A job
    that no device of this host can ever run ends in Error."""
    wanted = job.device_request()
    if not any(device.suits(wanted) for device in devices.register()):
        reason = f"This host has no device that {' or '.join(wanted.engines)} can use; see manage.py doctor."
        lifecycle.try_advance(job, Status.ERROR, error=reason)
        return []
    try:
        workers = queues.live_workers()
    except RedisError:
        workers = {}
    with transaction.atomic():
        _take_turn()
        _free_devices(workers)
        Device.objects.filter(leased_to=job.pk).exclude(host=settings.DIGITS_HOST_NAME).update(leased_to="")
        return devices.held_by(job) or DevicePool({queues.train_queue(settings.DIGITS_HOST_NAME): 1}).lease(job)


def _take_turn() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])


def _fail_unrunnable() -> None:
    for job_class in job_classes():
        for job, reason in job_class.unrunnable():
            lifecycle.try_advance(job, Status.ERROR, error=reason)


def _free_devices(workers: dict[str, int]) -> None:
    """Free the devices of jobs that have ended or were deleted, or that wait on a host without a worker; then all of
    the job's, which can be on several hosts."""
    for job_id, held in _leased(Device.objects.select_for_update()).items():
        holders = [job_class.objects.filter(pk=job_id).first() for job_class in job_classes()]
        status = next((job.status for job in holders if job), None)
        stranded = status == Status.WAITING and any(device.queue_name not in workers for device in held)
        if stranded or status not in (Status.WAITING, Status.RUNNING):
            log.info(
                "%s is free again; it was leased to %s (%s)", ", ".join(map(str, held)), job_id, status or "deleted"
            )
            Device.objects.filter(pk__in=[device.pk for device in held]).update(leased_to="")


def _leased(devices: QuerySet) -> dict[str, list[Device]]:
    """{id of a job: the devices that it holds}."""
    leased: dict[str, list[Device]] = {}
    for device in devices.exclude(leased_to=""):
        leased.setdefault(device.leased_to, []).append(device)
    return leased


def _place(job_class: type[Job], workers: dict[str, int]) -> list[tuple[str, Job]]:
    """(queue, job) for each job of that class that can run now.

    Only as many as there are workers go to Redis. The others stay in PostgreSQL, where a later job of higher priority
    can still overtake them.
    """
    if job_class.QUEUE != "train":
        count = max(1, workers.get(job_class.QUEUE, 0))
        return [(job_class.QUEUE, job) for job in job_class.ready()[:count]] + _place_on_spare(job_class, workers)
    return _place_on_devices(job_class, workers)


def _place_on_spare(job_class: type[Job], workers: dict[str, int]) -> list[tuple[str, Job]]:
    """(queue, job) for the spare workers: while all other workers are busy, jobs of owners without a running job.

    Otherwise one archive of 100,000 images would make everybody wait. The owner of a job without an owner is unknown,
    so each such job counts as another owner's.
    """
    name = job_class.QUEUE + queues.SPARE
    if not workers.get(name):
        return []
    running = [other.objects.filter(status=Status.RUNNING) for other in job_classes() if other.QUEUE == job_class.QUEUE]
    served = [owner for jobs in running for owner in jobs.values_list("owner", flat=True)]
    if len(served) < workers.get(job_class.QUEUE, 0):
        return []
    waiting = job_class.ready().exclude(owner__in=[owner for owner in served if owner])
    return [(name, job) for job in waiting[: workers[name]]]


def _place_on_devices(job_class: type[Job], workers: dict[str, int]) -> list[tuple[str, Job]]:
    leased = _leased(Device.objects.all())
    first = {job_id: hosts_in_order(held)[0][0] for job_id, held in leased.items()}
    placed = [(first[job.pk].queue_name, job) for job in job_class.ready().filter(pk__in=leased)]
    pool = DevicePool(workers)
    if pool.is_empty:
        return placed  # without sorting all waiting jobs, which takes seconds where 100,000 wait
    for job in job_class.ready().exclude(pk__in=leased).iterator(chunk_size=16):
        if pool.is_empty:
            break
        if found := pool.lease(job):
            placed.append((found[0].queue_name, job))
    return placed
