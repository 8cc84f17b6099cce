"""Runs one job from start to end and writes its outcome to the row."""

import logging
import secrets
import signal
import time
from collections.abc import Callable
from typing import Any

from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone

from digits_project.common import resources
from digits_project.common.errors import RESUME, Aborted, BadInput, Failed, Lost, no_room
from digits_project.jobs import lifecycle, limits
from digits_project.jobs.events import event_log
from digits_project.jobs.events.job_facts import seconds_left
from digits_project.jobs.execution.lost_process import handle_lost_process
from digits_project.jobs.models import J, Job, Status
from digits_project.jobs.process_identity import Process
from digits_project.jobs.scheduling.dispatch import dispatch_or_leave

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.4  # how often a running job checks for an abort
WRITE_SECONDS = 1.0  # how often it writes its progress and heartbeat
PATIENCE_SECONDS = 60.0  # how long a job's write is retried while the database can't be reached
STOPPING_SECONDS = 3.0  # the same while the worker shuts down, because the database can be shutting down too


class Stopped(Aborted):
    """The worker is shutting down; the job goes back to Waiting."""


class Unfinished(Exception):
    """The job has done what can be done now; it goes back to Waiting until more can be, with this progress (0 to 1)."""

    def __init__(self, progress: float):
        super().__init__(progress)
        self.progress = progress


class JobProgress:
    """Reports the progress of a job: call it with the fraction done (0 to 1, or None to send a heartbeat only).

    Raises Aborted if the job must stop, and BadInput if its owner has reached the limit of bytes on disk. The calls are
    the job's heartbeat: a job that does not call it counts as lost. `requests` are the newest values of the job's
    columns REQUESTS; `columns` are written to its row with the progress.
    """

    stop_requested = False  # SIGTERM sets it in the work-horse

    def __init__(self, job: Job, holder: str):
        self.job = job
        self.rows = type(job).objects.filter(pk=job.pk, status=Status.RUNNING, worker=holder)
        self.fraction = 0.0
        self.started_with: float | None = None  # the first fraction: above 0 if the job continues
        self.details: dict[str, Any] = {}
        self.requests: dict[str, Any] = {name: getattr(job, name) for name in job.REQUESTS}
        self.columns: dict[str, Any] = {}
        self.began = self.looked = self.written = time.monotonic()
        self.watch = limits.Watch(job)

    def __call__(self, fraction: float | None = None, **details) -> None:
        """`details`: what else the job's next progress event says, such as its epoch."""
        self.details |= details
        if fraction is not None:
            self.fraction = min(max(float(fraction), 0.0), 1.0)
            self.started_with = self.fraction if self.started_with is None else self.started_with
        now = time.monotonic()
        if JobProgress.stop_requested:
            raise Stopped
        if now - self.looked < LOOK_SECONDS:
            return
        self.looked = now
        try:
            self._look_and_write(now)
        except (OperationalError, InterfaceError) as away:
            log.warning("The database can't be reached, the job continues: %s", away)
            connections.close_all()

    def _look_and_write(self, now: float) -> None:
        row = self.rows.values("abort_requested_at", *self.job.REQUESTS).first()
        if row is None or row.pop("abort_requested_at"):
            raise Aborted
        self.requests = row
        if now - self.written >= WRITE_SECONDS:
            self.written = now
            self.rows.update(progress=self.fraction, heartbeat_at=timezone.now(), **self.columns)
            left = seconds_left(self.fraction, self.started_with or 0.0, now - self.began)
            progress = {"progress": round(self.fraction, 4), "seconds_left": left}
            event_log.publish("progress", self.job, **progress, **self.details)
            self.watch()


def listen_to_stop() -> None:
    """Let SIGTERM stop the job at its next progress call, and ignore SIGINT (Ctrl-C). Call it in the process that
    runs jobs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop_at_next_progress)


def _stop_at_next_progress(signum, frame):
    JobProgress.stop_requested = True


def run(job_class: type[J], job_id: str, work: Callable[[J, JobProgress], None]) -> None:
    """Call `work(job, progress)` if this process wins the job, and write the outcome.

    The texts of BadInput, Failed and Aborted become the row's error. After Lost another process continues the job. Any
    other exception goes to the log under an id that the row names.
    """
    holder = str(Process.current())
    job = job_class.objects.filter(pk=job_id).first()
    if job is None or not lifecycle.try_advance(job, Status.RUNNING, only_from=Status.WAITING, worker=holder):
        log.info("%s was deleted, or another process runs it", job_id)
        return
    try:
        end, changes = _outcome(job, JobProgress(job, holder), work)
        patiently(lambda: _end(job, end, holder, changes))
    except Lost as loss:
        log.warning("%s lost its process: %s", job, loss)
        reason = str(loss)
        patiently(lambda: handle_lost_process(job, reason))
    dispatch_or_leave()


def _outcome(job: J, progress: JobProgress, work: Callable[[J, JobProgress], None]) -> tuple[Status, dict]:
    """Do the work. Returns the final status and further column values."""
    try:
        if not job.directory.is_dir():
            raise Failed(f"The folder {job.pk} is missing from DIGITS_JOBS_DIR. Restore it from a backup, then resume.")
        work(job, progress)
    except Stopped:
        return Status.WAITING, {"progress": 0}
    except Aborted as stop:
        return Status.ABORTED, {"error": str(stop)} if str(stop) else {}
    except Unfinished as later:
        return Status.WAITING, {"progress": later.progress, "lost_processes": 0}
    except BadInput as mistake:
        return Status.ERROR, {"error": str(mistake)}
    except Lost:
        raise
    except Failed as failure:
        log.error("%s failed: %s", job, failure)
        return Status.ERROR, {"error": str(failure)}
    except (OperationalError, InterfaceError) as away:
        raise Lost(f"The database could not be reached: {away}") from away
    except Exception as failure:
        if explanation := no_room(failure, job.directory, RESUME):
            log.error("%s failed: %s", job, explanation)
            return Status.ERROR, {"error": explanation}
        if resources.is_want_of_memory(failure):
            log.exception("%s ran out of memory", job)
            return Status.ERROR, {"error": resources.explain(failure, "This job", "Give the worker more memory.")}
        fault = secrets.token_hex(4)
        log.exception("%s failed, error id %s", job, fault)
        return Status.ERROR, {
            "error": f"The server failed on this job. Its log has the details under error id {fault}."
        }
    return Status.DONE, {}


def _end(job: Job, end: Status, holder: str, changes: dict) -> None:
    """Write the outcome; it is Aborted if an abort was requested while the job finished or stopped."""
    if not lifecycle.try_advance(job, end, held_by=holder, only_from=Status.RUNNING, **changes):
        lifecycle.try_advance(job, Status.ABORTED, held_by=holder, only_from=Status.RUNNING)


def patiently(write: Callable[[], object]) -> None:
    """Call `write`, and retry for a while if the database can't be reached."""
    began = time.monotonic()
    while True:
        try:
            write()
            return
        except (OperationalError, InterfaceError):
            if time.monotonic() - began > (STOPPING_SECONDS if JobProgress.stop_requested else PATIENCE_SECONDS):
                raise
            log.warning("The database can't be reached; the job waits to write until it can")
            connections.close_all()
            time.sleep(0.5)
