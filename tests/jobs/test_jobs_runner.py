"""The runner: how the work of a job decides its end."""

import time

import pytest
from django.utils import timezone

from datasets.models import Dataset
from digits_project.common.errors import BadInput, Failed
from digits_project.jobs import lifecycle
from digits_project.jobs.execution import runner
from digits_project.jobs.models import Status
from digits_project.jobs.process_identity import Process

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(make_dataset):
    """A function that runs `work(dataset, report)` as a dataset's work and returns its row."""

    def run(work):
        dataset = make_dataset()
        runner.run(Dataset, dataset.pk, work)
        dataset.refresh_from_db()
        return dataset

    return run


def report_until_stopped(dataset, report):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        report(0.5)
        time.sleep(0.02)


def test_a_job_whose_work_returns_is_done(run):
    dataset = run(lambda dataset, report: report(0.3))
    assert (dataset.status, dataset.progress) == (Status.DONE, 1)


def test_the_message_of_bad_input_is_stored_verbatim(run):
    def work(dataset, report):
        raise BadInput("/data/cats holds no images")

    dataset = run(work)
    assert (dataset.status, dataset.error) == (Status.ERROR, "/data/cats holds no images")


def test_any_other_exception_is_logged_under_the_id_in_the_row(run, caplog):
    def work(dataset, report):
        raise RuntimeError("secret detail")

    dataset = run(work)
    fault_id = dataset.error.rstrip(".").split()[-1]
    logged = next(record for record in caplog.records if fault_id in record.getMessage())
    assert dataset.status == Status.ERROR
    assert "secret" not in dataset.error
    assert "secret detail" in logged.exc_text


def test_the_row_names_the_process_that_runs_the_job(run):
    seen = []
    run(lambda dataset, report: seen.append(Dataset.objects.get().worker))
    assert seen == [str(Process.current())]


def test_progress_and_heartbeat_are_written_while_the_job_runs(run):
    seen = []

    def work(dataset, report):
        at_start = Dataset.objects.get().heartbeat_at
        deadline = time.monotonic() + 60
        while not seen and time.monotonic() < deadline:
            report(0.25)
            row = Dataset.objects.get()
            seen.extend([row.progress] if row.heartbeat_at > at_start else [])
            time.sleep(0.05)

    run(work)
    assert seen == [0.25]


def test_an_abort_request_stops_the_work(run):
    def work(dataset, report):
        Dataset.objects.update(abort_requested_at=timezone.now())
        report_until_stopped(dataset, report)
        raise AssertionError("the work was not stopped")

    assert run(work).status == Status.ABORTED


def test_a_job_with_an_abort_request_at_its_end_is_aborted_not_done(run):
    dataset = run(lambda dataset, report: Dataset.objects.update(abort_requested_at=timezone.now()))
    assert dataset.status == Status.ABORTED


def test_a_job_that_another_process_ended_stops_and_stays_ended(run):
    def work(dataset, report):
        lifecycle.advance(Dataset.objects.get(), Status.ERROR, error="taken for lost")
        report_until_stopped(dataset, report)
        raise AssertionError("the work was not stopped")

    dataset = run(work)
    assert (dataset.status, dataset.error) == (Status.ERROR, "taken for lost")


def test_a_worker_that_shuts_down_returns_its_job_to_the_queue(run, monkeypatch):
    def work(dataset, report):
        monkeypatch.setattr(runner.JobProgress, "stop_requested", True)
        report_until_stopped(dataset, report)
        raise AssertionError("the work was not stopped")

    dataset = run(work)
    assert (dataset.status, dataset.progress, dataset.worker) == (Status.WAITING, 0, "")


def test_an_abort_request_right_before_the_worker_shuts_down_is_not_lost(run, monkeypatch):
    def work(dataset, report):
        Dataset.objects.update(abort_requested_at=timezone.now())
        monkeypatch.setattr(runner.JobProgress, "stop_requested", True)
        report(0.5)

    assert run(work).status == Status.ABORTED


def test_the_message_of_a_failure_outside_the_server_is_stored_verbatim(run):
    def work(dataset, report):
        raise Failed("The trainer was killed")

    assert run(work).error == "The trainer was killed"


def test_a_job_that_has_already_started_is_not_run_again(make_dataset):
    dataset = make_dataset()
    lifecycle.advance(dataset, Status.RUNNING, worker="host/1/1")
    runner.run(Dataset, dataset.pk, lambda dataset, report: pytest.fail("it ran twice"))
    dataset.refresh_from_db()
    assert (dataset.status, dataset.worker) == (Status.RUNNING, "host/1/1")
