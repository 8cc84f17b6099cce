"""Jobs forged in Redis: the worker runs only the server's own tasks."""

import pytest
from rq import Callback
from rq.job import Job as QueuedJob
from rq.job import JobStatus
from rq.webhook import Webhook

from datasets.models import Dataset
from digits_project.jobs.execution.worker import JobWorker
from digits_project.jobs.scheduling import queues

pytestmark = pytest.mark.django_db
TASK, ID = Dataset.TASK, "20260101-000000-0000"


@pytest.fixture
def worker():
    return JobWorker(["io"])


@pytest.fixture
def is_refused(worker, monkeypatch):
    """A function that returns whether the worker drops a forged job without running it."""
    # A real fork would copy the whole test process.
    forked = []
    monkeypatch.setattr("os.fork", lambda: forked.append(1) or 1 / 0)

    def is_refused(**fields):
        job = queues.queue("io").enqueue_call(**{"func": TASK, "args": (ID,)} | fields)
        worker.execute_job(job, queues.queue("io"))
        return not forked and not QueuedJob.exists(job.id, connection=queues.connection())

    return is_refused


@pytest.mark.parametrize("fields", [
    {"func": "os.system", "args": ("id",)},
    {"func": "datasets.tasks.Dataset.objects.all", "args": ()},
    {"args": ()},
    {"args": (ID, ID)},
    {"args": ("../../etc",)},
    {"args": ([ID],)},
    {"kwargs": {"job_id": ID}},
    {"on_success": Callback("os.system")},
    {"on_failure": Callback("os.system")},
    {"on_stopped": Callback("os.system")},
    {"webhooks": [Webhook("http://127.0.0.1:1/", JobStatus.FINISHED)]},
])  # fmt: skip
def test_a_forged_task_is_not_run(is_refused, fields):
    assert is_refused(**fields)


@pytest.mark.parametrize("job_id, fields", [
    ("../x", {}), ("bad", {"status": "nonsense"}), ("bad", {"created_at": "junk"}), ("bad", {"timeout": "x"}),
    ("bad", {"result_ttl": "junk"}),
])  # fmt: skip
def test_an_invalid_job_is_dropped_and_the_worker_takes_the_next(worker, job_id, fields):
    redis, queue = queues.connection(), queues.queue("io")
    fields = {"created_at": "2026-01-01T00:00:00.000000Z", "status": "queued", "origin": "io", "data": b"{}"} | fields
    redis.hset(QueuedJob.key_for(job_id), mapping=fields)
    redis.rpush(queue.key, job_id)
    good = queue.enqueue_call(TASK, (ID,))
    job, _ = worker.dequeue_job_and_maintain_ttl(1)
    assert job.id == good.id
    assert not redis.exists(QueuedJob.key_for(job_id))
    assert job_id.encode() not in redis.lrange(queue.intermediate_queue_key, 0, -1)


def test_an_undecodable_id_is_dropped_and_the_worker_takes_the_next(worker):
    redis, queue = queues.connection(), queues.queue("io")
    redis.rpush(queue.key, b"\x80id")
    good = queue.enqueue_call(TASK, (ID,))
    assert worker.dequeue_job_and_maintain_ttl(1)[0].id == good.id
    assert b"\x80id" not in redis.lrange(queue.intermediate_queue_key, 0, -1)


@pytest.mark.parametrize("data", ["[1, 2, 3, 4]", "null", "{}", "[]", f'["{TASK}", "os", ["{ID}"], {{}}]'])
def test_json_that_is_no_task_is_not_run(worker, data, monkeypatch):
    monkeypatch.setattr("os.fork", lambda: 1 / 0)
    job = queues.queue("io").enqueue_call(TASK, (ID,))
    queues.connection().hset(job.key, "data", data)
    forged = QueuedJob.fetch(job.id, connection=queues.connection(), serializer=queues.JSONSerializer)
    worker.execute_job(forged, queues.queue("io"))
    assert not QueuedJob.exists(job.id, connection=queues.connection())


def test_a_pickle_is_not_run(worker):
    job = queues.queue("io").enqueue_call(TASK, (ID,))
    queues.connection().hset(job.key, "data", b"\x80\x04cos\nsystem\n")  # a pickle in place of JSON
    worker.execute_job(QueuedJob.fetch(job.id, connection=queues.connection(), serializer=queues.JSONSerializer), None)
    assert not QueuedJob.exists(job.id, connection=queues.connection())
