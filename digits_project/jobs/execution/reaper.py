"""Finds jobs that lost their process, and dispatches regularly. One tick every few seconds, on any host."""

import logging
import threading
import time
from contextlib import suppress
from datetime import timedelta

from django.apps import apps
from django.db import Error as DatabaseFailure
from django.db import connections
from django.utils import timezone
from django.utils.module_loading import import_string
from redis.exceptions import RedisError

from digits_project.common.processes import notify_systemd
from digits_project.jobs import directory
from digits_project.jobs.execution.lost_process import handle_lost_process
from digits_project.jobs.models import Job, Status, find_job, job_classes
from digits_project.jobs.process_identity import Process
from digits_project.jobs.scheduling import queues
from digits_project.jobs.scheduling.dispatch import dispatch
from digits_project.received import received_file

log = logging.getLogger(__name__)

TICK_SECONDS = 5
TIDY_SECONDS = 60  # how often it looks for folders that killed processes left
SILENCE = timedelta(seconds=60)  # a running job writes a heartbeat every second
ABORT_GRACE = timedelta(seconds=5)  # a running job checks for an abort every 0.4 s


def tick() -> None:
    """Check every running job once, then dispatch."""
    for job_class in job_classes():
        for job in job_class.objects.filter(status=Status.RUNNING):
            _check_process(job)
    dispatch()


def tick_or_leave() -> bool:
    """Like tick(), but returns False if the database or Redis can't be reached; the next tick tries again."""
    try:
        tick()
    except (DatabaseFailure, RedisError) as away:
        log.warning("Could not check the running jobs, will try again: %s", away)
        connections.close_all()
        return False
    return True


def tidy_or_leave() -> None:
    """Remove folders that killed processes left, and expired uploads; if the database can't be reached, the next call
    tries again."""
    directory.finish_removals()
    received_file.remove_expired()
    try:
        directory.remove_abandoned(find_job)
    except DatabaseFailure as away:
        log.warning("Could not look for abandoned job folders: %s", away)
        connections.close_all()


def run_forever(stop: threading.Event) -> None:
    """Tick until `stop` is set, and send a heartbeat each time: to Redis after a successful tick, for health checks; to
    systemd in any case, because a reaper that waits for its database must not be killed."""
    tidied = float("-inf")
    notify_systemd("READY=1")
    while not stop.is_set():
        if tick_or_leave():
            with suppress(RedisError):
                queues.sign_of_reaper()
            maintain_or_leave()
        if time.monotonic() - tidied > TIDY_SECONDS:
            tidied = time.monotonic()
            tidy_or_leave()
        notify_systemd("WATCHDOG=1")
        stop.wait(TICK_SECONDS)


def maintain_or_leave() -> None:
    """Do what apps want done regularly: the functions that their MAINTENANCE names, which return soon."""
    for config in apps.get_app_configs():
        if hasattr(config, "MAINTENANCE"):
            try:
                import_string(config.MAINTENANCE)()
            except DatabaseFailure as away:
                log.warning("%s could not be done, will try again: %s", config.MAINTENANCE, away)
                connections.close_all()


def _check_process(job: Job) -> None:
    process, now = Process.parse(job.worker), timezone.now()
    if process.is_local and not process.is_alive():
        handle_lost_process(job, f"The process that ran this job (pid {process.pid} on {process.host}) died.")
        return
    silent = now - (job.heartbeat_at or job.created_at) > SILENCE
    ignores_abort = job.abort_requested_at and now - job.abort_requested_at > ABORT_GRACE
    if silent or ignores_abort:
        if process.is_local:
            process.kill()
        handle_lost_process(job, f"The process that ran this job (pid {process.pid} on {process.host}) fell silent.")
