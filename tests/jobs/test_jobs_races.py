"""Concurrent requests for one job: one outcome, and only expected exceptions."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections, transaction
from django.utils import timezone

from datasets.models import Dataset
from digits_project.common import errors
from digits_project.jobs import lifecycle, services
from digits_project.jobs.execution.lost_process import handle_lost_process
from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from tests.support.console import wait_until_a_lock_blocks

pytestmark = pytest.mark.django_db(transaction=True)
EXPECTED = (errors.Refused, errors.Gone, ValidationError)


def run_concurrently(*actions):
    """Call each action in a thread of its own; return the exception of each, or None."""

    def call(action):
        try:
            action()
        except Exception as raised:  # noqa: BLE001 - it is the return value
            return raised
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(call, actions))


def unexpected(results):
    return [raised for raised in results if raised is not None and not isinstance(raised, EXPECTED)]


@pytest.mark.parametrize("round_number", range(5))
def test_concurrent_deletes_aborts_and_edits_leave_no_job(make_dataset, round_number):
    dataset = make_dataset()

    def own_copy():
        return Dataset.objects.get(pk=dataset.pk)

    jobs = [own_copy() for _ in range(6)]
    results = run_concurrently(
        *[lambda job=job: services.delete(job) for job in jobs[:3]],
        *[lambda job=job: services.abort(job) for job in jobs[3:5]],
        lambda: services.edit(jobs[5], name="other"),
    )
    assert unexpected(results) == []
    assert results[:3] == [None] * 3
    assert not Dataset.objects.exists()
    assert list(settings.DIGITS_JOBS_DIR.iterdir()) == []


@pytest.mark.parametrize("round_number", range(3))
def test_concurrent_resumes_aborts_and_deletes_leave_no_job(make_dataset, round_number):
    dataset = make_dataset()
    services.abort(dataset)
    jobs = [Dataset.objects.get(pk=dataset.pk) for _ in range(6)]
    results = run_concurrently(
        *[lambda job=job: services.resume(job) for job in jobs[:3]],
        *[lambda job=job: services.abort(job) for job in jobs[3:5]],
        lambda: services.delete(jobs[5]),
    )
    assert {type(raised) for raised in unexpected(results)} <= {errors.IllegalTransition}  # its response is a 409
    assert results[5] is None
    assert not Dataset.objects.exists()
    assert list(settings.DIGITS_JOBS_DIR.iterdir()) == []


def test_one_of_six_concurrent_resumes_succeeds(make_dataset):
    dataset = make_dataset()
    services.abort(dataset)
    jobs = [Dataset.objects.get(pk=dataset.pk) for _ in range(6)]
    results = run_concurrently(*[lambda job=job: services.resume(job) for job in jobs])
    assert sorted(type(raised).__name__ for raised in results) == ["IllegalTransition"] * 5 + ["NoneType"]
    dataset.refresh_from_db()
    assert [change[0] for change in dataset.status_history] == ["Waiting", "Aborted", "Waiting"]


def test_a_dataset_of_a_waiting_model_cannot_be_deleted_and_aborting_it_fails_the_model(make_dataset, make_model):
    dataset = make_dataset()
    model = make_model(dataset)
    with pytest.raises(errors.HasDependents, match=model.pk):
        services.delete(dataset)
    services.abort(dataset)
    model.refresh_from_db()
    assert (model.status, "was aborted" in model.error) == (Status.ERROR, True)


@pytest.mark.parametrize("round_number", range(5))
def test_a_dataset_is_deleted_or_gets_models_but_never_both(make_dataset, make_model, round_number):
    dataset = make_dataset()
    copies = [Dataset.objects.get(pk=dataset.pk) for _ in range(4)]
    results = run_concurrently(
        lambda: services.delete(copies[0]), *[lambda copy=copy: make_model(copy) for copy in copies[1:]]
    )
    assert unexpected(results) == []
    rows = {*Dataset.objects.values_list("pk", flat=True), *TrainedModel.objects.values_list("pk", flat=True)}
    assert {folder.name for folder in settings.DIGITS_JOBS_DIR.iterdir()} == rows
    assert Dataset.objects.exists() == TrainedModel.objects.exists()


@pytest.mark.parametrize("round_number", range(3))
def test_a_model_is_deleted_or_gets_successors_but_never_both(make_dataset, make_model, round_number):
    first = make_model(make_dataset())
    fields = {"method": "previous", "standard_network": "", "previous_epoch": 1}
    results = run_concurrently(
        lambda: services.delete(TrainedModel.objects.get(pk=first.pk)),
        *[lambda: make_model(first.dataset, previous=first, **fields) for _ in range(3)],
    )
    assert unexpected(results) == []
    successors = TrainedModel.objects.exclude(pk=first.pk)
    assert all(successor.previous == first for successor in successors)
    assert TrainedModel.objects.filter(pk=first.pk).exists() == successors.exists()


def test_a_model_whose_previous_model_is_being_deleted_waits_and_is_then_refused(make_dataset, make_model):
    first = make_model(make_dataset())
    fields = {"method": "previous", "standard_network": "", "previous": first}
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        TrainedModel.objects.select_for_update().get(pk=first.pk).delete()
        created = pool.submit(run_concurrently, lambda: make_model(first.dataset, **fields))
        wait_until_a_lock_blocks()
    assert [str(refusal) for refusal in created.result()] == [str({"previous": ["There is no model with this id."]})]
    assert not TrainedModel.objects.exists()


def test_a_second_abort_keeps_the_time_of_the_first(make_dataset):
    dataset = make_dataset()
    lifecycle.advance(dataset, Status.RUNNING, worker="elsewhere/1/1")
    services.abort(dataset)
    first = dataset.abort_requested_at
    services.abort(dataset)
    assert dataset.abort_requested_at == first < timezone.now()


def test_an_abort_while_a_job_goes_back_to_waiting_aborts_it(make_dataset):
    dataset = make_dataset()
    lifecycle.advance(dataset, Status.RUNNING, worker="elsewhere/1/1")
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        handle_lost_process(dataset, "Its process was lost.")
        aborted = pool.submit(run_concurrently, lambda: services.abort(Dataset.objects.get(pk=dataset.pk)))
        wait_until_a_lock_blocks()
    assert aborted.result() == [None]
    dataset.refresh_from_db()
    assert [change[0] for change in dataset.status_history] == ["Waiting", "Running", "Waiting", "Aborted"]


def test_a_model_of_a_deleted_dataset_is_refused_and_leaves_no_folder(make_dataset, make_model):
    dataset = make_dataset()
    deleted = Dataset.objects.get(pk=dataset.pk)
    services.delete(dataset)
    with pytest.raises(ValidationError, match="no dataset with this id"):
        make_model(deleted)
    assert list(settings.DIGITS_JOBS_DIR.iterdir()) == []
