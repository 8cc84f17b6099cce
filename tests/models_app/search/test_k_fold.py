"""A k-fold: a search that trains the same settings on each fold of a dataset."""

import statistics

import pytest

from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.jobs import services
from digits_project.jobs.models import Status
from models_app import evaluations
from models_app.models import TrainedModel
from models_app.results import Evaluation
from models_app.search.search_job import Search
from tests.support.api_requests import field_errors

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
BROWSER = {"Accept": "text/html"}
CREATE = "/models/images/classification.json"


@pytest.fixture
def post(client, built_dataset):
    """A function that posts a form with these fields."""
    form = {"model_name": "five", "dataset": built_dataset.pk, "standard_networks": "lenet", "train_epochs": 2}
    return lambda **fields: client.post(CREATE, form | fields)


@pytest.fixture
def k_fold(post):
    """A new k-fold of three folds."""
    return Search.objects.get(pk=post(folds=3, group_name="folds", learning_rate=0.03).json()["id"])


def test_a_k_fold_trains_the_same_settings_on_each_fold(k_fold, built_dataset, advance, devices, end_trial):
    devices(3)
    search = advance(k_fold)
    models = list(search.trials.order_by("trial").select_related("dataset"))
    assert (search.status, search.space, search.search_trials) == (Status.WAITING, {}, 3)
    assert [(one.dataset.fold, one.dataset.folds, one.dataset.parent) for one in models] == [
        (number, 3, built_dataset) for number in (1, 2, 3)
    ]
    assert [one.dataset.name for one in models] == [f"digits, fold {number} of 3" for number in (1, 2, 3)]
    assert {one.learning_rate for one in models} == {0.03}
    assert {one.group_name for one in models} == {one.dataset.group_name for one in models} == {"folds"}
    for model in models:
        build_dataset(model.dataset_id)
        end_trial(model, 0.5)
    assert advance(search).status == Status.DONE


def test_its_result_is_the_mean_and_the_spread_of_the_folds(k_fold, advance, devices, end_trial, client):
    devices(3)
    search = advance(k_fold)
    assert client.get(f"/searches/{search.pk}.json").json()["fold_figures"]["accuracy"] is None
    best, last = [0.9, 0.8, 0.85], [0.88, 0.8, 0.8]
    for model, *accuracies in zip(search.trials.order_by("trial"), best, last, strict=True):
        build_dataset(model.dataset_id)
        end_trial(model, *accuracies)
        rows = [{"f1": accuracies[0], "support": 3}, {"f1": 0.0, "support": 0}]
        model.refresh_from_db()
        evaluation = evaluations.evaluate(model, "val")
        Evaluation.objects.filter(pk=evaluation.pk).update(categories=rows, accuracy=accuracies[0])
    found = client.get(f"/searches/{search.pk}.json").json()
    assert found["folds"] == 3
    for name, values in (("accuracy", best), ("last_accuracy", last), ("macro_f1", best)):
        expected = {"mean": statistics.fmean(values), "deviation": statistics.stdev(values), "folds": 3}
        expected |= {"lowest": min(values), "highest": max(values)}
        assert found["fold_figures"][name] == pytest.approx(expected)
    assert client.get(f"/api/v1/searches/{search.pk}").json()["fold_figures"] == found["fold_figures"]
    page = client.get(f"/searches/{search.pk}", headers=BROWSER).content.decode()
    assert "85.00 % ± 5.00 %" in page


def test_aborting_a_k_fold_aborts_its_datasets_and_models_and_resuming_resumes_them(k_fold, advance, devices):
    devices(3)
    search = advance(k_fold)
    services.abort(search)
    statuses = [set(rows.values_list("status", flat=True)) for rows in (search.trials, Dataset.objects.filter(folds=3))]
    assert statuses == [{Status.ABORTED}, {Status.ABORTED}]
    services.resume(search)
    advance(search)
    statuses = [set(rows.values_list("status", flat=True)) for rows in (search.trials, Dataset.objects.filter(folds=3))]
    assert statuses == [{Status.WAITING}, {Status.WAITING}]


@pytest.mark.parametrize(
    "fields, field",
    [
        ({"learning_rate": "0.001..0.1 log"}, "learning_rate"),
        ({"learning_rate": "0.001,0.1"}, "learning_rate"),
        ({"search_trials": 5}, "search_trials"),
        ({"folds": 1}, "folds"),
        ({"folds": 21}, "folds"),
        ({"val_interval": 0}, "val_interval"),
    ],
)
def test_what_contradicts_folds_is_refused_at_its_field(post, fields, field):
    assert list(field_errors(post(**{"folds": 3} | fields))) == [field]
    assert not TrainedModel.objects.exists()


def test_a_plan_of_a_k_fold_creates_nothing(post):
    assert post(folds=3, dry_run="true").status_code == 200
    assert (Search.objects.count(), Dataset.objects.count()) == (0, 1)


def test_the_limit_of_waiting_jobs_stops_no_k_fold(post, advance, devices, settings):
    devices(3)
    search = Search.objects.get(pk=post(folds=3, username="ada").json()["id"])
    settings.DIGITS_AUTH, settings.DIGITS_MOST_WAITING = "required", 1
    assert (advance(search).status, search.trials.count()) == (Status.WAITING, 3)
