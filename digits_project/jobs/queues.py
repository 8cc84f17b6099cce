"""RQ's queues, which carry job ids and nothing else; who is alive."""

import socket
from datetime import datetime, timezone
from typing import NamedTuple

import django_rq
from rq import Queue, Worker
from rq.defaults import RQ_KEY_PREFIX
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job as QueuedJob
from rq.job import JobStatus
from rq.serializers import JSONSerializer

REAPER_SECONDS = 30  # how long a sign of life counts; a reaper gives one every five seconds
SPENT = (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED)


def connection():
    """The Redis connection of this process."""
    return django_rq.get_connection("io")


def queue(name: str) -> Queue:
    return Queue(name, connection=connection(), serializer=JSONSerializer, default_timeout=-1)


def enqueue(name: str, task: str, job_id: str, attempt: int) -> None:
    """Have a worker of queue `name` call `task(job_id)` once, however often this is called before it does.

    Every attempt is another job to RQ: one that lost its worker would else keep the next from being queued until RQ has
    noticed.
    """
    target = queue(name)
    queued_id = f"{job_id}-{attempt}"
    arguments = {"args": (job_id,), "job_id": queued_id, "unique": True, "result_ttl": 0, "failure_ttl": 60}
    try:
        target.enqueue_call(task, **arguments)
    except DuplicateJobError:
        if _is_spent(queued_id, target):
            remove(queued_id)
            target.enqueue_call(task, **arguments)


def remove(queued_id: str) -> None:
    """Take a job out of RQ; not for one that runs."""
    try:
        queued = QueuedJob.fetch(queued_id, connection=connection(), serializer=JSONSerializer)
    except NoSuchJobError:
        return
    # RQ fails to delete a job with an execution that has expired, as that of a killed worker does.
    connection().delete(queued.execution_registry.key)
    queued.delete()


def live_workers() -> dict[str, int]:
    """How many workers listen on each queue; a worker that was killed drops out when its heartbeat expires."""
    count: dict[str, int] = {}
    for worker in Worker.all(connection=connection(), serializer=JSONSerializer):
        for name in worker.queue_names():
            count[name] = count.get(name, 0) + 1
    return count


class Listener(NamedTuple):
    """A live worker. `job_id` is what it works on, "" if nothing; `seen` its last sign of life, in UTC."""

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
    """This host's reaper has looked after the jobs just now; docker/healthy.py asks for it too. Raises RedisError."""
    connection().set(f"{RQ_KEY_PREFIX}:reaper:{socket.gethostname()}", 1, ex=REAPER_SECONDS)


def reapers() -> list[str]:
    """The hosts whose reaper has looked after the jobs lately. Raises RedisError."""
    start = f"{RQ_KEY_PREFIX}:reaper:"
    return sorted(key.decode().removeprefix(start) for key in connection().scan_iter(f"{start}*"))


def _listener(worker: Worker) -> Listener:
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


def _is_spent(queued_id: str, target: Queue) -> bool:
    """Whether RQ knows the id only from an earlier run, or has lost it from its list."""
    try:
        status = QueuedJob.fetch(queued_id, connection=connection(), serializer=JSONSerializer).get_status()
    except NoSuchJobError:
        return True
    return status in SPENT or (status == JobStatus.QUEUED and queued_id not in target.job_ids)
