"""RQ's worker, adapted: a dead worker or work-horse is noticed soon, and no process outlives its parent.

RQ itself notices a dead worker after 800 s and lets its work-horse run on. With these settings it takes ten seconds.
"""

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable

from django.db import Error as DatabaseFailure
from django.db import connections
from redis.exceptions import RedisError
from rq import Worker
from rq.exceptions import DeserializationError, StopRequested
from rq.job import Job as QueuedJob
from rq.serializers import JSONSerializer
from rq.worker_registration import REDIS_WORKER_KEYS

from digits_project.common.job_ids import is_job_id
from digits_project.common.processes import die_with
from digits_project.jobs.execution import reaper
from digits_project.jobs.execution.lost_process import handle_lost_process
from digits_project.jobs.execution.runner import listen_to_stop
from digits_project.jobs.models import find_job, job_classes
from digits_project.jobs.process_identity import Process
from digits_project.jobs.scheduling import queues
from digits_project.jobs.scheduling.dispatch import dispatch_or_leave

log = logging.getLogger(__name__)


def in_child(function: Callable[[], object]) -> None:
    """Call a function in a forked process, and wait for it. A worker waits for jobs for hours; so the memory that the
    database code writes to, and the database connection, end with the fork. Raises RuntimeError if the function
    fails."""
    connections.close_all()  # parent and child would share a connection
    child = multiprocessing.get_context("fork").Process(target=_call, args=(function, os.getpid()), daemon=True)
    child.start()
    child.join()
    if child.exitcode:
        raise RuntimeError(f"{function.__qualname__} failed in process {child.pid}; the log has its exception")


def _call(function: Callable[[], object], parent: int) -> None:
    die_with(parent)
    function()


class JobWorker(Worker):
    """Runs the tasks of `job_classes()`, each in a forked process (the work-horse) that dies with the worker."""

    dequeue_timeout = 5
    max_connection_wait_time = 2.0  # seconds between attempts to reach Redis

    def __init__(self, queue_names: list[str]):
        super().__init__(
            [queues.queue(name) for name in queue_names],
            connection=queues.connection(),
            serializer=JSONSerializer,
            job_monitoring_interval=2,
            maintenance_interval=5,
            log_job_description=False,
        )
        self.tasks: dict[str, tuple[type, ...]] = {job_class.TASK: (str,) for job_class in job_classes()}
        self.tasks |= {job_class.JOIN_TASK: (str, int) for job_class in job_classes() if job_class.JOIN_TASK}

    def bootstrap(self, *args, **kwargs):
        """Register, then handle the jobs that a dead worker left behind."""
        super().bootstrap(*args, **kwargs)
        in_child(reaper.tick_or_leave)

    def heartbeat(self, timeout=None, pipeline=None):
        if not self.is_horse and not self.connection.sismember(REDIS_WORKER_KEYS, self.key):
            self.log.warning("Redis has lost this worker's registration; registering again")
            self.connection.delete(self.key)  # a heartbeat after Redis lost its data leaves a key without queues
            self.register_birth()
        super().heartbeat(10, pipeline=pipeline)

    def maintain_heartbeats(self, job, execution):
        """Send heartbeats while a job runs, also if Redis can't be reached: the job does not need Redis."""
        try:
            super().maintain_heartbeats(job, execution)
        except RedisError as away:
            self.log.warning("Redis can't be reached, the job continues: %s", away)

    def get_heartbeat_ttl(self, job, working_time=0.0) -> int:
        return 10

    def request_stop(self, signum, frame):
        """On the first SIGTERM or SIGINT, let the work-horse put its job back to Waiting and exit, then exit."""
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)
        super().request_stop(signum, frame)

    def dequeue_job_and_maintain_ttl(self, *args, **kwargs):
        """The next readable job. Unreadable entries in Redis are removed, and never end the worker."""
        while True:
            try:
                return super().dequeue_job_and_maintain_ttl(*args, **kwargs)
            except (RedisError, StopRequested):
                raise
            except UnicodeDecodeError:
                self._remove_undecodable()
            except Exception as unreadable:
                if not (hasattr(unreadable, "job_id") and hasattr(unreadable, "queue")):  # RQ sets them for a bad job
                    raise
                log.error("Refused %a, which can't be read: %a", unreadable.job_id[:100], str(unreadable)[:200])
                unreadable.queue.intermediate_queue.remove(unreadable.job_id)
                self.connection.delete(QueuedJob.key_for(unreadable.job_id))

    def clean_registries(self):
        self._remove_undecodable()
        super().clean_registries()

    def _remove_undecodable(self) -> None:
        """Remove ids that are not text from the list of jobs in progress; RQ fails on them."""
        for queue in self.queues:
            for job_id in self.connection.lrange(queue.intermediate_queue_key, 0, -1):
                if not job_id.isascii():
                    log.error("Refused %a, which is not a job's id", job_id[:100])
                    self.connection.execute_command("LREM", queue.intermediate_queue_key, 0, job_id)

    def execute_job(self, job, queue):
        """Run only our own tasks with a job id, no matter who wrote to Redis. RQ itself would call any callback and
        any URL that a job names."""
        if self._is_ours(job):
            super().execute_job(job, queue)
        else:
            log.error("Refused to run %s, which is not a task of this server", job.id)
            job.delete()

    def _is_ours(self, job) -> bool:
        try:
            types = tuple(type(argument) for argument in job.args)
            plain = types == self.tasks.get(job.func_name) and is_job_id(job.args[0]) and not job.kwargs
            plain = plain and job.instance is None
        except (DeserializationError, TypeError):  # TypeError: the data is not a job at all
            return False
        hooks = ("_success_callback_name", "_failure_callback_name", "_stopped_callback_name", "webhooks")
        return plain and not any(getattr(job, name) for name in hooks)

    def fork_work_horse(self, job, queue):
        connections.close_all()  # parent and child would share a connection; closing one would end both
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job, queue):
        """The child process; it dies with its worker."""
        die_with(self.pid)
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self):
        listen_to_stop()

    def handle_work_horse_killed(self, job, retpid, ret_val, rusage):
        """Handle the job of a work-horse that was killed (out of memory, kill -9) at once, without the reaper."""
        how = f"by signal {os.WTERMSIG(ret_val)}" if os.WIFSIGNALED(ret_val) else f"with status {ret_val}"
        try:
            row = find_job(job.args[0])
            # A process that only joined a job of another host ends nothing here: that host's process misses its ranks.
            if row and not row.has_ended and row.worker and Process.parse(row.worker).is_process(retpid):
                handle_lost_process(
                    row, f"The process that ran this job died {how}. Out of memory is the usual reason."
                )
                dispatch_or_leave()
        except DatabaseFailure as away:
            log.warning("Leaving %s, whose process died %s, to the reaper: %s", job.args[0], how, away)
        connections.close_all()
