"""What many do to one job at the same moment: one outcome, and no fault of ours."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, connections, transaction
from django.utils import timezone

from datasets.models import Dataset
from digits_project.common import errors
from digits_project.jobs import lifecycle, services
from digits_project.jobs.models import Status
from models_app.models import TrainedModel

pytestmark = pytest.mark.django_db(transaction=True)
EXPECTED = (errors.Refused, errors.Gone, ValidationError)


def at_once(*actions):
    """Call all in threads of their own; what each raised, or None."""

    def call(action):
        try:
            action()
        except Exception as raised:  # noqa: BLE001 - it is the result
            return raised
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(call, actions))


def unexpected(results):
    return [raised for raised in results if raised is not None and not isinstance(raised, EXPECTED)]


@pytest.mark.parametrize("round_number", range(5))
def test_deletes_aborts_and_edits_of_one_job(make_dataset, round_number):
    dataset = make_dataset()

    def mine():
        return Dataset.objects.get(pk=dataset.pk)

    jobs = [mine() for _ in range(6)]
    results = at_once(
        *[lambda job=job: services.delete(job) for job in jobs[:3]],
        *[lambda job=job: services.abort(job) for job in jobs[3:5]],
        lambda: services.edit(jobs[5], name="other"),
    )
    assert unexpected(results) == []
    assert results[:3] == [None] * 3
    assert not Dataset.objects.exists()
    assert list(settings.DIGITS_JOBS_DIR.iterdir()) == []


@pytest.mark.parametrize("round_number", range(3))
def test_resumes_aborts_and_deletes_of_one_job(make_dataset, round_number):
    dataset = make_dataset()
    services.abort(dataset)
    jobs = [Dataset.objects.get(pk=dataset.pk) for _ in range(6)]
    results = at_once(
        *[lambda job=job: services.resume(job) for job in jobs[:3]],
        *[lambda job=job: services.abort(job) for job in jobs[3:5]],
        lambda: services.delete(jobs[5]),
    )
    assert [r for r in unexpected(results) if not isinstance(r, errors.IllegalTransition)] == []  # a 409
    assert results[5] is None
    assert not Dataset.objects.exists()
    assert list(settings.DIGITS_JOBS_DIR.iterdir()) == []


def test_of_many_that_resume_a_job_one_does(make_dataset):
    dataset = make_dataset()
    services.abort(dataset)
    jobs = [Dataset.objects.get(pk=dataset.pk) for _ in range(6)]
    results = at_once(*[lambda job=job: services.resume(job) for job in jobs])
    assert sorted(type(raised).__name__ for raised in results) == ["IllegalTransition"] * 5 + ["NoneType"]
    dataset.refresh_from_db()
    assert [change[0] for change in dataset.status_history] == ["Waiting", "Aborted", "Waiting"]


def test_a_dataset_that_a_waiting_model_needs_is_not_deleted_and_one_that_is_aborted_fails_it_with_the_reason(
    make_dataset, make_model
):
    dataset = make_dataset()
    model = make_model(dataset)
    with pytest.raises(errors.HasDependents, match=model.pk):
        services.delete(dataset)
    services.abort(dataset)
    model.refresh_from_db()
    assert (model.status, "was aborted" in model.error) == (Status.ERROR, True)


@pytest.mark.parametrize("round_number", range(5))
def test_a_dataset_is_deleted_while_models_are_made_on_it(make_dataset, make_model, round_number):
    dataset = make_dataset()
    copies = [Dataset.objects.get(pk=dataset.pk) for _ in range(4)]
    results = at_once(lambda: services.delete(copies[0]), *[lambda copy=copy: make_model(copy) for copy in copies[1:]])
    assert unexpected(results) == []
    rows = {*Dataset.objects.values_list("pk", flat=True), *TrainedModel.objects.values_list("pk", flat=True)}
    assert {folder.name for folder in settings.DIGITS_JOBS_DIR.iterdir()} == rows
    assert Dataset.objects.exists() == TrainedModel.objects.exists()


@pytest.mark.parametrize("round_number", range(3))
def test_a_model_is_deleted_while_others_go_on_from_it(make_dataset, make_model, round_number):
    first = make_model(make_dataset())
    fields = {"method": "previous", "standard_network": "", "previous_epoch": 1}
    results = at_once(
        lambda: services.delete(TrainedModel.objects.get(pk=first.pk)),
        *[lambda: make_model(first.dataset, previous=first, **fields) for _ in range(3)],
    )
    assert unexpected(results) == []
    others = TrainedModel.objects.exclude(pk=first.pk)
    assert all(other.previous == first for other in others)
    assert TrainedModel.objects.filter(pk=first.pk).exists() == others.exists()


def test_a_model_that_is_being_deleted_is_waited_for_and_then_none_goes_on_from_it(make_dataset, make_model):
    first = make_model(make_dataset())
    fields = {"method": "previous", "standard_network": "", "previous": first}
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        TrainedModel.objects.select_for_update().get(pk=first.pk).delete()
        made = pool.submit(at_once, lambda: make_model(first.dataset, **fields))
        wait_until_somebody_waits()
    assert [str(refusal) for refusal in made.result()] == [str({"previous": ["There is no model of that id."]})]
    assert not TrainedModel.objects.exists()


def wait_until_somebody_waits():
    """Until another connection waits for a lock of the database."""
    with connection.cursor() as cursor:
        waiting = False
        while not waiting:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            (waiting,) = cursor.fetchone()


def test_only_the_first_request_to_abort_sets_the_clock(make_dataset):
    dataset = make_dataset()
    lifecycle.advance(dataset, Status.RUNNING, worker="elsewhere/1/1")
    services.abort(dataset)
    first = dataset.abort_requested_at
    services.abort(dataset)
    assert dataset.abort_requested_at == first < timezone.now()


def test_a_model_of_a_dataset_that_is_gone_is_refused_and_leaves_no_folder(make_dataset, make_model):
    dataset = make_dataset()
    gone = Dataset.objects.get(pk=dataset.pk)
    services.delete(dataset)
    with pytest.raises(ValidationError, match="no dataset of that id"):
        make_model(gone)
    assert list(settings.DIGITS_JOBS_DIR.iterdir()) == []
