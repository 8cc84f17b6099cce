"""How a job's end is decided."""

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
    """Run `work(dataset, report)` as a dataset's work; the row after it."""

    def run(work):
        dataset = make_dataset()
        runner.run(Dataset, dataset.pk, work)
        dataset.refresh_from_db()
        return dataset

    return run


def report_until_stopped(dataset, report):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        report(0.5)
        time.sleep(0.02)


def test_work_that_returns_is_done(run):
    dataset = run(lambda dataset, report: report(0.3))
    assert (dataset.status, dataset.progress) == (Status.DONE, 1)


def test_the_users_mistake_reaches_the_row_word_for_word(run):
    def work(dataset, report):
        raise BadInput("/data/cats holds no images")

    dataset = run(work)
    assert (dataset.status, dataset.error) == (Status.ERROR, "/data/cats holds no images")


def test_any_other_fault_is_logged_under_the_id_that_the_row_tells(run, caplog):
    def work(dataset, report):
        raise RuntimeError("secret detail")

    dataset = run(work)
    fault = dataset.error.rstrip(".").split()[-1]
    logged = next(record for record in caplog.records if fault in record.getMessage())
    assert dataset.status == Status.ERROR
    assert "secret" not in dataset.error
    assert "secret detail" in logged.exc_text


def test_the_row_names_the_process_that_runs_it(run):
    seen = []
    run(lambda dataset, report: seen.append(Dataset.objects.get().worker))
    assert seen == [str(Process.current())]


def test_progress_and_heartbeat_are_written_while_it_runs(run):
    seen = []

    def work(dataset, report):
        begun = Dataset.objects.get().heartbeat_at
        deadline = time.monotonic() + 10
        while not seen and time.monotonic() < deadline:
            report(0.25)
            row = Dataset.objects.get()
            seen.extend([row.progress] if row.heartbeat_at > begun else [])
            time.sleep(0.05)

    run(work)
    assert seen == [0.25]


def test_a_request_to_abort_stops_it(run):
    def work(dataset, report):
        Dataset.objects.update(abort_requested_at=timezone.now())
        report_until_stopped(dataset, report)
        raise AssertionError("nobody stopped it")

    assert run(work).status == Status.ABORTED


def test_a_request_to_abort_in_the_last_moment_makes_it_aborted_not_done(run):
    dataset = run(lambda dataset, report: Dataset.objects.update(abort_requested_at=timezone.now()))
    assert dataset.status == Status.ABORTED


def test_a_job_that_somebody_else_ended_stops_and_stays_ended(run):
    def work(dataset, report):
        lifecycle.advance(Dataset.objects.get(), Status.ERROR, error="taken for lost")
        report_until_stopped(dataset, report)
        raise AssertionError("nobody stopped it")

    dataset = run(work)
    assert (dataset.status, dataset.error) == (Status.ERROR, "taken for lost")


def test_a_worker_that_shuts_down_puts_its_job_back(run, monkeypatch):
    def work(dataset, report):
        monkeypatch.setattr(runner.JobProgress, "stop_requested", True)
        report_until_stopped(dataset, report)
        raise AssertionError("nobody stopped it")

    dataset = run(work)
    assert (dataset.status, dataset.progress, dataset.worker) == (Status.WAITING, 0, "")


def test_an_abort_right_before_the_worker_shuts_down_is_not_lost(run, monkeypatch):
    def work(dataset, report):
        Dataset.objects.update(abort_requested_at=timezone.now())
        monkeypatch.setattr(runner.JobProgress, "stop_requested", True)
        report(0.5)

    assert run(work).status == Status.ABORTED


def test_what_broke_around_the_server_is_told_word_for_word(run):
    def work(dataset, report):
        raise Failed("The trainer was killed")

    assert run(work).error == "The trainer was killed"


def test_a_job_that_has_already_started_is_left_alone(make_dataset):
    dataset = make_dataset()
    lifecycle.advance(dataset, Status.RUNNING, worker="host/1/1")
    runner.run(Dataset, dataset.pk, lambda dataset, report: pytest.fail("it ran twice"))
    dataset.refresh_from_db()
    assert (dataset.status, dataset.worker) == (Status.RUNNING, "host/1/1")
