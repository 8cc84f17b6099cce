"""Races of two dispatchers and a worker over one queued job."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.job import Job as QueuedJob
from rq.job import JobStatus

from digits_project.jobs import services
from digits_project.jobs.execution.worker import JobWorker
from digits_project.jobs.scheduling import queues
from digits_project.jobs.scheduling.dispatch import dispatch

pytestmark = pytest.mark.django_db
TASK, ID, ATTEMPT = "datasets.tasks.build_dataset", "20260101-000000-0000", 1


def enqueue():
    queues.enqueue("io", TASK, ID, ATTEMPT)


def waiting():
    return queues.queue("io").job_ids


@pytest.fixture
def worker():
    return JobWorker(["io"])


@pytest.fixture
def between(monkeypatch):
    """A function that makes `step` run once, between RQ's refusal of a duplicate job and the exception's handler."""

    def between(step):
        enqueue_call, steps = Queue.enqueue_call, [step]

        def refuse_then_step(*args, **kwargs):
            try:
                return enqueue_call(*args, **kwargs)
            except DuplicateJobError:
                while steps:
                    steps.pop()()
                raise

        monkeypatch.setattr(Queue, "enqueue_call", refuse_then_step)

    return between


def test_a_job_that_a_worker_has_just_popped_is_not_queued_again(worker):
    enqueue()
    popped, _ = worker.dequeue_job_and_maintain_ttl(None)
    enqueue()
    assert waiting() == []
    assert popped.get_status() == JobStatus.QUEUED  # its record still exists for the worker


def test_a_job_that_a_worker_pops_between_the_two_steps_is_not_queued_again(worker, between):
    enqueue()
    between(lambda: worker.dequeue_job_and_maintain_ttl(None))
    enqueue()
    assert waiting() == []
    assert QueuedJob.exists(f"{ID}-{ATTEMPT}", connection=queues.connection())


def test_a_job_that_a_worker_starts_between_the_two_steps_is_not_queued_again(worker, between):
    enqueue()

    def start():
        job, _ = worker.dequeue_job_and_maintain_ttl(None)
        worker.prepare_job_execution(job, remove_from_intermediate_queue=True)

    between(start)
    enqueue()
    assert waiting() == []


def test_enqueueing_a_job_that_ends_between_the_two_steps_does_not_raise(worker, between):
    enqueue()

    def end():
        job, _ = worker.dequeue_job_and_maintain_ttl(None)
        job.delete()  # as RQ deletes a finished job with result_ttl 0

    between(end)
    enqueue()
    assert waiting() == [f"{ID}-{ATTEMPT}"]  # the row decides: a worker that pops the job finds that it has ended


def test_two_dispatchers_queue_the_same_lost_job_once(monkeypatch):
    enqueue()
    queues.connection().delete(queues.queue("io").key)
    enqueue_call, calls = Queue.enqueue_call, []

    def another_dispatcher_first(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            enqueue()
        return enqueue_call(*args, **kwargs)

    monkeypatch.setattr(Queue, "enqueue_call", another_dispatcher_first)
    enqueue()
    assert waiting() == [f"{ID}-{ATTEMPT}"]


def test_eight_dispatchers_at_once_queue_a_lost_job_once():
    enqueue()
    queues.connection().delete(queues.queue("io").key)
    barrier = threading.Barrier(8)

    def dispatcher():
        barrier.wait()
        enqueue()

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(dispatcher) for _ in range(8)]:
            future.result()
    assert waiting() == [f"{ID}-{ATTEMPT}"]


@pytest.mark.parametrize("status", ["finished", "failed", "stopped", "canceled"])
def test_a_job_with_only_an_ended_record_in_redis_is_queued_again(worker, status):
    enqueue()
    worker.dequeue_job_and_maintain_ttl(None)[0].set_status(JobStatus(status))
    enqueue()
    assert waiting() == [f"{ID}-{ATTEMPT}"]


def test_a_job_whose_redis_record_has_no_status_is_queued_again():
    queues.connection().hset(
        QueuedJob.key_for(f"{ID}-{ATTEMPT}"), "last_heartbeat", "x"
    )  # a heartbeat after the job's end
    enqueue()
    assert waiting() == [f"{ID}-{ATTEMPT}"]


def test_a_job_whose_worker_died_right_after_its_pop_is_queued_again(worker, monkeypatch):
    enqueue()
    worker.dequeue_job_and_maintain_ttl(None)
    monkeypatch.setattr(queues, "STARTING", queues.STARTING * 0)
    enqueue()
    assert waiting() == [f"{ID}-{ATTEMPT}"]
    assert queues.queue("io").intermediate_queue.get_job_ids() == []


@pytest.mark.parametrize("act", [services.abort, services.delete])
def test_aborting_or_deleting_one_job_succeeds_while_a_worker_pops_another(act, make_dataset, worker, between):
    first, second = make_dataset(), make_dataset()
    dispatch()
    between(lambda: worker.dequeue_job_and_maintain_ttl(None))
    act(second)
    assert [queued_id.rpartition("-")[0] for queued_id in waiting()] == []
    first.refresh_from_db()
    assert first.status == "Waiting"
