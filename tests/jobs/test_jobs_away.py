"""The database becomes unreachable while a job runs."""

import threading
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection

from datasets import services
from datasets.models import Dataset
from digits_project.jobs.execution import runner
from digits_project.jobs.models import Status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def unreachable(monkeypatch):
    """A context manager inside which the socket of PostgreSQL does not exist."""

    @contextmanager
    def unreachable():
        connection.close()
        with monkeypatch.context() as patch:
            patch.setitem(connection.settings_dict, "HOST", "/nonexistent")
            yield

    return unreachable


def run_to_end(dataset, work):
    runner.run(Dataset, dataset.pk, work)
    dataset.refresh_from_db()
    return dataset


def test_a_build_that_ends_during_a_database_outage_stores_its_result_afterwards(make_dataset, unreachable):
    def work(dataset, report):
        outage = unreachable()
        outage.__enter__()
        threading.Timer(3, outage.__exit__, (None, None, None)).start()
        services.build(dataset, report)

    dataset = run_to_end(make_dataset(), work)
    assert (dataset.status, dataset.entries("train")) == (Status.DONE, 90)


def test_a_job_that_fails_on_an_unreachable_database_is_queued_again(make_dataset, unreachable):
    def work(dataset, report):
        with unreachable():
            Dataset.objects.get(pk=dataset.pk)

    dataset = run_to_end(make_dataset(), work)
    assert (dataset.status, dataset.lost_processes) == (Status.WAITING, 1)
    assert "The database could not be reached" in dataset.status_history[-1][2]


def test_a_job_that_is_stopped_during_a_database_outage_does_not_outlive_its_worker(unreachable, monkeypatch):
    attempts = []

    def write():
        attempts.append(1)
        Dataset.objects.count()

    monkeypatch.setattr(runner.JobProgress, "stop_requested", True)
    monkeypatch.setattr(runner, "STOPPING_SECONDS", 0.2)
    with unreachable(), pytest.raises(OperationalError):
        runner.patiently(write)
    assert len(attempts) == 2  # not all 120
