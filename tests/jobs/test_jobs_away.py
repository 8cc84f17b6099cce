"""The database goes away under a job that runs."""

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
def away(monkeypatch):
    """A context in which PostgreSQL can't be reached: its socket is not where it was."""

    @contextmanager
    def away():
        connection.close()
        with monkeypatch.context() as patch:
            patch.setitem(connection.settings_dict, "HOST", "/nonexistent")
            yield

    return away


def after(dataset, work):
    runner.run(Dataset, dataset.pk, work)
    dataset.refresh_from_db()
    return dataset


def test_a_build_that_ends_while_the_database_is_away_stores_what_it_built_once_it_is_back(make_dataset, away):
    def work(dataset, report):
        gone = away()
        gone.__enter__()
        threading.Timer(3, gone.__exit__, (None, None, None)).start()
        services.build(dataset, report)

    dataset = after(make_dataset(), work)
    assert (dataset.status, dataset.entries("train")) == (Status.DONE, 90)


def test_work_that_asks_a_database_that_is_away_is_done_again_later(make_dataset, away):
    def work(dataset, report):
        with away():
            Dataset.objects.get(pk=dataset.pk)

    dataset = after(make_dataset(), work)
    assert (dataset.status, dataset.lost_processes) == (Status.WAITING, 1)
    assert "The database was away" in dataset.status_history[-1][2]


def test_a_job_that_is_told_to_stop_while_the_database_is_away_does_not_outlive_its_worker(away, monkeypatch):
    attempts = []

    def write():
        attempts.append(1)
        Dataset.objects.count()

    monkeypatch.setattr(runner.JobProgress, "stop_requested", True)
    monkeypatch.setattr(runner, "STOPPING_SECONDS", 0.2)
    with away(), pytest.raises(OperationalError):
        runner.patiently(write)
    assert len(attempts) == 2  # of a hundred and twenty
