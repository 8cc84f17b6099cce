"""The metrics of models as CSV."""

import csv

import pytest

from models_app.results import Metric, metrics_csv

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(make_dataset, make_model, settings):
    settings.DIGITS_AUTH = "open"
    return make_model(make_dataset())


def measure(model, split, epoch, **more):
    defaults = {"iteration": int(8 * epoch), "loss": 1 / epoch, "learning_rate": 0.01}
    Metric.objects.create(trained_model=model, split=split, epoch=epoch, **(defaults | more))


def test_every_metric_is_a_line_sorted_by_split_and_epoch(client, model):
    measure(model, "val", 1, accuracy=0.75)
    for epoch in (2, 0.5):
        measure(model, "train", epoch, accuracy=None)
    response = client.get(f"/models/{model.pk}/metrics.csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == f'attachment; filename="{model.pk}_metrics.csv"'
    assert response.getvalue().decode().splitlines() == [
        "model,split,epoch,iteration,loss,accuracy,learning_rate",
        f"{model.pk},train,0.5,4,2.0,,0.01",
        f"{model.pk},train,2.0,16,0.5,,0.01",
        f"{model.pk},val,1.0,8,1.0,0.75,0.01",
    ]


def test_further_outputs_of_any_name_have_columns_of_their_own(model, make_dataset, make_model):
    other = make_model(make_dataset())
    measure(model, "val", 1, outputs={'a "top", 5': 0.5})
    measure(other, "val", 1, outputs={"aux": 0.25})
    rows = list(csv.DictReader(metrics_csv([model, other])))
    found = {row["model"]: (row['a "top", 5'], row["aux"]) for row in rows}
    assert found == {model.pk: ("0.5", ""), other.pk: ("", "0.25")}


def test_csv_escapes_the_names_of_outputs_and_leaves_numbers_unchanged(model):
    measure(model, "val", 1, outputs={"=1+1": -0.5})
    assert next(csv.DictReader(metrics_csv([model])))["'=1+1"] == "-0.5"


def test_a_dataset_has_no_metrics_and_a_new_model_has_none_yet(client, model):
    assert client.get(f"/models/{model.dataset_id}/metrics.csv").status_code == 404
    assert "".join(metrics_csv([model])).count("\n") == 1
