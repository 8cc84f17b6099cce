"""What many do to one job at the same moment: one outcome, and no fault of ours."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections
from django.utils import timezone

from datasets.models import Dataset
from digits_project.jobs import lifecycle, services
from digits_project.jobs.models import Status
from models_app.models import TrainedModel

pytestmark = pytest.mark.django_db(transaction=True)
EXPECTED = (services.Refused, services.Gone, ValidationError)


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


@pytest.mark.parametrize("round_number", range(5))
def test_a_dataset_is_deleted_while_models_are_made_on_it(make_dataset, make_model, round_number):
    dataset = make_dataset()
    copies = [Dataset.objects.get(pk=dataset.pk) for _ in range(4)]
    results = at_once(lambda: services.delete(copies[0]), *[lambda copy=copy: make_model(copy) for copy in copies[1:]])
    assert unexpected(results) == []
    rows = {*Dataset.objects.values_list("pk", flat=True), *TrainedModel.objects.values_list("pk", flat=True)}
    assert {folder.name for folder in settings.DIGITS_JOBS_DIR.iterdir()} == rows
    assert Dataset.objects.exists() == TrainedModel.objects.exists()


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
