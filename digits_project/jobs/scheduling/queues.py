"""RQ's queues, which carry only job ids; and which workers and reapers are alive."""

import socket
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import django_rq
import redis
from redis.client import Pipeline
from redis.driver_info import DriverInfo
from rq import Queue, Worker
from rq.defaults import RQ_KEY_PREFIX
from rq.exceptions import DuplicateJobError
from rq.executions import ExecutionRegistry
from rq.job import Job as QueuedJob
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

# Otherwise each new connection searches the installed packages for redis-py's version: 1 ms, and 2 MiB of a process.
DRIVER = DriverInfo(lib_version=redis.__version__)
REAPER_SECONDS = 30  # how long a heartbeat counts; a reaper sends one every five seconds
SPARE = "-spare"  # suffix of a queue for owners who would otherwise wait for other owners' jobs
STARTING = timedelta(seconds=20)  # from a worker's pop to the start of its work-horse


def connection():
    """The Redis connection of this process."""
    client = django_rq.get_connection("io")
    client.connection_pool.connection_kwargs["driver_info"] = DRIVER
    return client


def queue(name: str) -> Queue:
    return Queue(name, connection=connection(), serializer=JSONSerializer, default_timeout=-1)


def train_queue(host: str) -> str:
    """The name of the queue of the train workers on a host."""
    return f"train-{host}"


def enqueue(name: str, task: str, job_id: str, attempt: int) -> None:
    """Let a worker of queue `name` call `task(job_id)` once, even if several processes call this several times.

    A job can be in the spare queue and in its own queue. The worker that first moves the row to Running gets it.

    Each attempt has its own id in RQ. Otherwise a job that lost its worker could not be queued again before RQ notices
    the loss.
    """
    _enqueue(name, task, (job_id,), f"{job_id}-{attempt}{'s' if name.endswith(SPARE) else ''}")


def enqueue_join(name: str, task: str, job_id: str, attempt: int, host: int) -> None:
    """Let a worker of the host with this number among those of the job (from 1) call `task(job_id, attempt)` once."""
    _enqueue(name, task, (job_id, attempt), f"{job_id}-{attempt}h{host}")


def _enqueue(name: str, task: str, args: tuple[Any, ...], queued_id: str) -> None:
    target = queue(name)
    arguments: dict[str, Any] = {
        "args": args,
        "job_id": queued_id,
        "unique": True,
        "result_ttl": 0,
        "failure_ttl": 60,
    }
    try:
        target.enqueue_call(task, **arguments)
    except DuplicateJobError:
        if forget_lost(target, queued_id):
            with suppress(DuplicateJobError):  # another process queued it between these two steps
                target.enqueue_call(task, **arguments)


def forget_lost(target: Queue, queued_id: str) -> bool:
    """Delete a job from RQ if no worker will ever run it. Returns whether it did.

    The check and the delete are one transaction. Otherwise a worker could pop the job in between, or another process
    could queue it again, and this would delete a job that is about to run.
    """
    key, popped = QueuedJob.key_for(queued_id), target.intermediate_queue

    def forget(pipe: Pipeline) -> bool:
        if not _is_lost(pipe, target, queued_id):
            return False
        pipe.multi()
        # Not QueuedJob.delete(): it fails on a job with an execution that has expired, as that of a killed worker does.
        pipe.delete(key, ExecutionRegistry(queued_id, pipe).key, popped.get_first_seen_key(queued_id))
        pipe.lrem(popped.key, 0, queued_id)
        pipe.zrem(target.failed_job_registry.key, queued_id)
        pipe.zrem(target.canceled_job_registry.key, queued_id)
        return True

    return connection().transaction(forget, key, target.key, popped.key, value_from_callable=True)


def live_workers() -> dict[str, int]:
    """{queue: number of listening workers}. A killed worker drops out when its heartbeat expires."""
    count: dict[str, int] = {}
    for worker in Worker.all(connection=connection(), serializer=JSONSerializer):
        for name in worker.queue_names():
            count[name] = count.get(name, 0) + 1
    return count


class Listener(NamedTuple):
    """A live worker. `job_id` is its current job, "" if none; `seen` is its last heartbeat, in UTC."""

    name: str
    host: str
    queues: list[str]
    state: str
    job_id: str
    seen: datetime | None


def workers() -> list[Listener]:
    """The live workers, by host and name. Raises RedisError."""
    found = Worker.all(connection=connection(), serializer=JSONSerializer)
    return sorted(_listener(worker) for worker in found)


def sign_of_reaper() -> None:
    """Record that this host's reaper has just done a tick; docker/healthy.py reads it too. Raises RedisError."""
    connection().set(f"{RQ_KEY_PREFIX}:reaper:{socket.gethostname()}", 1, ex=REAPER_SECONDS)


def reapers() -> list[str]:
    """The hosts whose reaper has done a tick lately. Raises RedisError."""
    start = f"{RQ_KEY_PREFIX}:reaper:"
    return sorted(key.decode().removeprefix(start) for key in connection().scan_iter(f"{start}*"))


def _listener(worker: BaseWorker) -> Listener:
    attempt = worker.get_current_job_id() or ""
    seen = worker.last_heartbeat
    return Listener(
        worker.name,
        worker.hostname or "",
        worker.queue_names(),
        str(worker.get_state()),
        attempt.rpartition("-")[0],
        seen if seen is None or seen.tzinfo else seen.replace(tzinfo=timezone.utc),
    )


def _is_lost(pipe: Pipeline, target: Queue, queued_id: str) -> bool:
    """Whether RQ has only the record of a job that has ended, or that is in no list any more.

    `pipe` watches the keys that this reads. A job that a worker has popped is in the intermediate queue until the
    worker marks it as started. If it stays there longer than STARTING, its worker has died.
    """
    status = pipe.hget(QueuedJob.key_for(queued_id), "status")
    if status != JobStatus.QUEUED.encode():
        return status != JobStatus.STARTED.encode()
    if queued_id.encode() in pipe.lrange(target.key, 0, -1):
        return False
    popped = target.intermediate_queue
    if queued_id.encode() not in pipe.lrange(popped.key, 0, -1):
        return True
    popped.set_first_seen(queued_id)
    seen = popped.get_first_seen(queued_id)
    return seen is not None and datetime.now(timezone.utc) - seen > STARTING
