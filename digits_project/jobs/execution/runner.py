"""Runs one job from start to end, and decides what its outcome means for the row."""

import logging
import secrets
import signal
import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone

from digits_project.common import resources
from digits_project.common.errors import RESUME, Aborted, BadInput, Failed, Lost, no_room
from digits_project.jobs import lifecycle, limits
from digits_project.jobs.execution.lost_process import handle_lost_process
from digits_project.jobs.models import Job, Status
from digits_project.jobs.process_identity import Process
from digits_project.jobs.scheduling.dispatch import dispatch_or_leave

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.4  # how often a running job looks whether it is to stop
WRITE_SECONDS = 1.0  # how often it writes its progress and heartbeat
PATIENCE_SECONDS = 60.0  # how long what a job has to write waits for a database that is away
STOPPING_SECONDS = 3.0  # the same while its worker is told to stop: the database may have been stopped with it


class Stopped(Aborted):
    """The worker is shutting down: the job goes back to Waiting."""


class JobProgress:
    """Call it with the fraction done (0 to 1, or None for "still here"); raises Aborted when the job is to stop, and
    BadInput when its owner has as much on disk as one may have.

    It is the job's heartbeat: a job that never calls it is taken for lost.
    """

    stop_requested = False  # set in the work-horse by SIGTERM

    def __init__(self, job: Job, holder: str):
        self.rows = type(job).objects.filter(pk=job.pk, status=Status.RUNNING, worker=holder)
        self.fraction = 0.0
        self.looked = self.written = time.monotonic()
        self.watch = limits.Watch(job)

    def __call__(self, fraction: float | None = None) -> None:
        if fraction is not None:
            self.fraction = min(max(float(fraction), 0.0), 1.0)
        now = time.monotonic()
        if JobProgress.stop_requested:
            raise Stopped
        if now - self.looked < LOOK_SECONDS:
            return
        self.looked = now
        try:
            self._look_and_write(now)
        except (OperationalError, InterfaceError) as away:
            log.warning("The database is away, the job goes on: %s", away)
            connections.close_all()

    def _look_and_write(self, now: float) -> None:
        row = self.rows.values("abort_requested_at").first()
        if row is None or row["abort_requested_at"]:
            raise Aborted
        if now - self.written >= WRITE_SECONDS:
            self.written = now
            self.rows.update(progress=self.fraction, heartbeat_at=timezone.now())
            self.watch()


def listen_to_stop() -> None:
    """In the process that does the work: SIGTERM stops the job at its next progress, Ctrl-C in a terminal does not."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop_at_next_progress)


def _stop_at_next_progress(signum, frame):
    JobProgress.stop_requested = True


def run(kind: type[Job], job_id: str, work: Callable[[Job, JobProgress], None]) -> None:
    """Call `work(job, progress)` if this process wins the job, and write how it ended.

    BadInput and Failed reach the user word for word; what is Lost goes on with another process; any other exception
    goes to the log, and the row says under which id.
    """
    holder = str(Process.current())
    job = kind.objects.filter(pk=job_id).first()
    if job is None or not lifecycle.try_advance(job, Status.RUNNING, only_from=Status.WAITING, worker=holder):
        log.info("%s is gone or somebody else's", job_id)
        return
    try:
        end, changes = _outcome(job, JobProgress(job, holder), work)
        patiently(lambda: _end(job, end, holder, changes))
    except Lost as loss:
        log.warning("%s lost its process: %s", job, loss)
        reason = str(loss)
        patiently(lambda: handle_lost_process(job, reason))
    dispatch_or_leave()


def _outcome(job: Job, progress: JobProgress, work) -> tuple[Status, dict]:
    """Do the work; the status that it ends in, and what else the row is to say."""
    try:
        if not job.directory.is_dir():
            raise Failed(f"The folder {job.pk} is missing from DIGITS_JOBS_DIR. Restore it from a backup, then resume.")
        work(job, progress)
    except Stopped:
        return Status.WAITING, {"progress": 0}
    except Aborted:
        return Status.ABORTED, {}
    except BadInput as mistake:
        return Status.ERROR, {"error": str(mistake)}
    except Lost:
        raise
    except Failed as failure:
        log.error("%s failed: %s", job, failure)
        return Status.ERROR, {"error": str(failure)}
    except (OperationalError, InterfaceError) as away:
        raise Lost(f"The database was away: {away}") from away
    except Exception as failure:
        if explanation := no_room(failure, job.directory, RESUME):
            log.error("%s failed: %s", job, explanation)
            return Status.ERROR, {"error": explanation}
        if resources.is_want_of_memory(failure):
            log.exception("%s got no more memory", job)
            return Status.ERROR, {"error": resources.explain(failure, "This job", "Give the worker more memory.")}
        fault = secrets.token_hex(4)
        log.exception("%s failed, error id %s", job, fault)
        return Status.ERROR, {
            "error": f"The server failed on this job. Its log has the details under error id {fault}."
        }
    return Status.DONE, {}


def _end(job: Job, end: Status, holder: str, changes: dict) -> None:
    """Write the outcome; what was asked to abort while it finished, or was stopped, is Aborted."""
    if not lifecycle.try_advance(job, end, held_by=holder, only_from=Status.RUNNING, **changes):
        lifecycle.try_advance(job, Status.ABORTED, held_by=holder, only_from=Status.RUNNING)


def patiently(write: Callable[[], object]) -> None:
    """Write to the database even if it is away for a while."""
    began = time.monotonic()
    while True:
        try:
            write()
            return
        except (OperationalError, InterfaceError):
            if time.monotonic() - began > (STOPPING_SECONDS if JobProgress.stop_requested else PATIENCE_SECONDS):
                raise
            log.warning("The database is away; what a job has to write waits until it is back")
            connections.close_all()
            time.sleep(0.5)
