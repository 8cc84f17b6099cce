"""RQ's worker, tuned: nothing that dies goes unnoticed, and nothing outlives what started it.

Stock RQ notices a dead worker after 800 s and lets its horse train on; the figures here bring that to ten seconds.
"""

import logging
import os
import signal

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
from digits_project.jobs.models import find_job, job_kinds
from digits_project.jobs.scheduling import queues
from digits_project.jobs.scheduling.dispatch import dispatch_or_leave

log = logging.getLogger(__name__)


class JobWorker(Worker):
    """Runs the tasks of `job_kinds()`, each in a forked process (the horse) that dies with this one."""

    dequeue_timeout = 5
    max_connection_wait_time = 2.0  # between two attempts at a Redis that is away

    def __init__(self, queue_names: list[str]):
        super().__init__(
            [queues.queue(name) for name in queue_names],
            connection=queues.connection(),
            serializer=JSONSerializer,
            job_monitoring_interval=2,
            maintenance_interval=5,
            log_job_description=False,
        )
        self.tasks = {kind.TASK for kind in job_kinds()}

    def bootstrap(self, *args, **kwargs):
        """Register, then look after what the worker before this one left behind."""
        super().bootstrap(*args, **kwargs)
        reaper.tick_or_leave()

    def heartbeat(self, timeout=None, pipeline=None):
        if not self.is_horse and not self.connection.sismember(REDIS_WORKER_KEYS, self.key):
            self.log.warning("Redis has forgotten this worker; it registers again")
            self.connection.delete(self.key)  # what a heartbeat after the loss left there has no queues
            self.register_birth()
        super().heartbeat(10, pipeline=pipeline)

    def maintain_heartbeats(self, job, execution):
        """While a job runs. It needs no Redis, and would die with this worker."""
        try:
            super().maintain_heartbeats(job, execution)
        except RedisError as away:
            self.log.warning("Redis is away, the job goes on: %s", away)

    def get_heartbeat_ttl(self, job, working_time=0.0) -> int:
        return 10

    def request_stop(self, signum, frame):
        """First SIGTERM or SIGINT: the horse puts its job back to Waiting and ends, then the worker does."""
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)
        super().request_stop(signum, frame)

    def dequeue_job_and_maintain_ttl(self, *args, **kwargs):
        """The next job that can be read: what somebody else wrote to Redis ends no worker."""
        while True:
            try:
                return super().dequeue_job_and_maintain_ttl(*args, **kwargs)
            except (RedisError, StopRequested):
                raise
            except UnicodeDecodeError:
                self._forget_what_is_no_text()
            except Exception as unreadable:
                if not hasattr(unreadable, "job_id"):  # by which RQ says that it is the job's fault
                    raise
                log.error("Refused %a, which can't be read: %a", unreadable.job_id[:100], str(unreadable)[:200])
                unreadable.queue.intermediate_queue.remove(unreadable.job_id)
                self.connection.delete(QueuedJob.key_for(unreadable.job_id))

    def clean_registries(self):
        self._forget_what_is_no_text()
        super().clean_registries()

    def _forget_what_is_no_text(self) -> None:
        """Of the ids that were taken from a queue: RQ can't even name them."""
        for queue in self.queues:
            for job_id in self.connection.lrange(queue.intermediate_queue_key, 0, -1):
                if not job_id.isascii():
                    log.error("Refused %a, which is no job's id", job_id[:100])
                    self.connection.lrem(queue.intermediate_queue_key, 0, job_id)

    def execute_job(self, job, queue):
        """Runs nothing but a task of ours on a job's id, whoever wrote to Redis. RQ calls whatever callbacks
        a job names, and asks whatever addresses."""
        if self._is_ours(job):
            super().execute_job(job, queue)
        else:
            log.error("Refused to run %s, which is no task of this server", job.id)
            job.delete()

    def _is_ours(self, job) -> bool:
        try:
            plain = job.func_name in self.tasks and len(job.args) == 1 and is_job_id(job.args[0]) and not job.kwargs
            plain = plain and job.instance is None
        except (DeserializationError, TypeError):  # TypeError: not even a list of what makes a job
            return False
        hooks = ("_success_callback_name", "_failure_callback_name", "_stopped_callback_name", "webhooks")
        return plain and not any(getattr(job, name) for name in hooks)

    def fork_work_horse(self, job, queue):
        connections.close_all()  # a forked connection would be shared, and one side's close would end both
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job, queue):
        """The child: dies with its worker."""
        die_with(self.pid)
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self):
        listen_to_stop()

    def handle_work_horse_killed(self, job, retpid, ret_val, rusage):
        """The horse died without a word (out of memory, kill -9): its row must not wait for the reaper."""
        how = f"by signal {os.WTERMSIG(ret_val)}" if os.WIFSIGNALED(ret_val) else f"with status {ret_val}"
        try:
            row = find_job(job.args[0])
            if row and row.worker and not row.has_ended:
                handle_lost_process(
                    row, f"The process that ran this job died {how}. Out of memory is the usual reason."
                )
                dispatch_or_leave()
        except DatabaseFailure as away:
            log.warning("The reaper looks after %s, which died %s: %s", job.args[0], how, away)
        connections.close_all()
