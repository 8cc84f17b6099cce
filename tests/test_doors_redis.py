"""Who can write to Redis can have nothing run but what the server would run anyway."""

import pytest
from rq import Callback
from rq.job import Job as QueuedJob
from rq.job import JobStatus
from rq.webhook import Webhook

from datasets.models import Dataset
from digits_project.jobs import queues
from digits_project.jobs.worker import JobWorker

pytestmark = pytest.mark.django_db
TASK, ID = Dataset.TASK, "20260101-000000-0000"


@pytest.fixture
def worker():
    return JobWorker(["io"])


@pytest.fixture
def refused(worker, monkeypatch):
    """Whether the worker runs none of it, and forgets it. A fork would be one of the whole test."""
    forked = []
    monkeypatch.setattr("os.fork", lambda: forked.append(1) or 1 / 0)

    def refused(**written):
        job = queues.queue("io").enqueue_call(**{"func": TASK, "args": (ID,)} | written)
        worker.execute_job(job, queues.queue("io"))
        return not forked and not QueuedJob.exists(job.id, connection=queues.connection())

    return refused


@pytest.mark.parametrize("written", [
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
def test_what_is_no_task_of_ours_is_not_run(refused, written):
    assert refused(**written)


def test_what_can_not_be_read_is_not_run(worker):
    job = queues.queue("io").enqueue_call(TASK, (ID,))
    queues.connection().hset(job.key, "data", b"\x80\x04cos\nsystem\n")  # a pickle, where JSON belongs
    worker.execute_job(QueuedJob.fetch(job.id, connection=queues.connection(), serializer=queues.JSONSerializer), None)
    assert not QueuedJob.exists(job.id, connection=queues.connection())
