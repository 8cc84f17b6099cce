"""Every transition of a status, legal or not, and races between them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from django.utils import timezone

from datasets.models import Dataset
from digits_project.common.errors import IllegalTransition
from digits_project.jobs import lifecycle
from digits_project.jobs.lifecycle import advance, try_advance
from digits_project.jobs.models import Status

LEGAL = {
    ("Initialized", "Waiting"),
    ("Initialized", "Running"),
    ("Initialized", "Aborted"),
    ("Initialized", "Error"),
    ("Waiting", "Running"),
    ("Waiting", "Aborted"),
    ("Waiting", "Error"),
    ("Running", "Waiting"),
    ("Running", "Done"),
    ("Running", "Aborted"),
    ("Running", "Error"),
    ("Aborted", "Waiting"),
    ("Error", "Waiting"),
}
ALL = [(a, b) for a in Status.values for b in Status.values]


@pytest.fixture
def dataset_in(make_dataset):
    """A function that creates a dataset in this status."""

    def dataset_in(status):
        dataset = make_dataset()
        Dataset.objects.filter(pk=dataset.pk).update(status=status)
        dataset.refresh_from_db()
        return dataset

    return dataset_in


@pytest.mark.django_db
@pytest.mark.parametrize("before, after", sorted(LEGAL))
def test_a_legal_transition_changes_the_status(dataset_in, before, after):
    dataset = dataset_in(before)
    advance(dataset, Status(after))
    assert dataset.status == after


@pytest.mark.django_db
@pytest.mark.parametrize("before, after", sorted(set(ALL) - LEGAL))
def test_an_illegal_transition_raises_and_leaves_the_row_unchanged(dataset_in, before, after):
    dataset = dataset_in(before)
    with pytest.raises(IllegalTransition, match=f"is {before} and cannot become {after}"):
        advance(dataset, Status(after), error="late")
    dataset.refresh_from_db()
    assert (dataset.status, dataset.error) == (before, "")


@pytest.mark.django_db
def test_the_status_history_has_every_status_in_order(make_dataset):
    dataset = make_dataset()
    advance(dataset, Status.RUNNING, worker="host/1/1")
    advance(dataset, Status.DONE)
    assert [status for status, _ in dataset.status_history] == ["Waiting", "Running", "Done"]


@pytest.mark.django_db
def test_only_the_worker_that_runs_a_job_can_end_it(make_dataset):
    dataset = make_dataset()
    advance(dataset, Status.RUNNING, worker="host/1/1")
    assert not try_advance(dataset, Status.DONE, held_by="host/2/2")
    assert dataset.status == Status.RUNNING


@pytest.mark.django_db
def test_a_job_with_an_abort_request_can_only_become_aborted(make_dataset):
    dataset = make_dataset()
    advance(dataset, Status.RUNNING, worker="host/1/1")
    Dataset.objects.update(abort_requested_at=dataset.started_at)
    assert not try_advance(dataset, Status.DONE)
    assert not try_advance(dataset, Status.WAITING)
    assert try_advance(dataset, Status.ABORTED)
    assert try_advance(dataset, Status.WAITING)  # resumed


@pytest.mark.django_db
def test_a_resumed_job_drops_the_error_and_times_of_its_earlier_run(make_dataset):
    dataset = make_dataset()
    advance(dataset, Status.RUNNING, worker="host/1/1")
    advance(dataset, Status.ERROR, error="out of memory")
    advance(dataset, Status.WAITING)
    assert (dataset.error, dataset.worker, dataset.started_at, dataset.ended_at) == ("", "", None, None)


@pytest.mark.django_db
def test_an_aborted_job_can_be_resumed_run_and_finish(make_dataset):
    dataset = make_dataset()
    advance(dataset, Status.RUNNING, worker="host/1/1")
    Dataset.objects.update(abort_requested_at=timezone.now())
    for status in (Status.ABORTED, Status.WAITING, Status.RUNNING, Status.DONE):
        advance(dataset, status)
    assert (dataset.status, dataset.abort_requested_at) == (Status.DONE, None)


@pytest.mark.django_db(transaction=True)
def test_one_of_eight_workers_that_race_to_start_a_job_wins(make_dataset):
    dataset = make_dataset()

    def race(number):
        own_copy = Dataset.objects.get(pk=dataset.pk)
        try:
            return lifecycle.try_advance(own_copy, Status.RUNNING, worker=f"host/{number}/1")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(race, range(1, 9)))
    dataset.refresh_from_db()
    assert won.count(True) == 1
    assert dataset.worker == f"host/{won.index(True) + 1}/1"
