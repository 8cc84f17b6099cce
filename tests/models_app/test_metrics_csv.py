"""The curves of models as CSV."""

import csv

import pytest

from models_app.metrics_csv import metrics_csv
from models_app.results import Metric

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(make_dataset, make_model, settings):
    settings.DIGITS_AUTH = "open"
    return make_model(make_dataset())


def measure(model, split, epoch, **more):
    defaults = {"iteration": int(8 * epoch), "loss": 1 / epoch, "learning_rate": 0.01}
    Metric.objects.create(trained_model=model, split=split, epoch=epoch, **(defaults | more))


def test_every_measurement_is_a_line_by_split_and_epoch(client, model):
    measure(model, "val", 1, accuracy=0.75)
    for epoch in (2, 0.5):
        measure(model, "train", epoch, accuracy=None)
    answer = client.get(f"/models/{model.pk}/metrics.csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="{model.pk}_metrics.csv"'
    assert answer.getvalue().decode().splitlines() == [
        "model,split,epoch,iteration,loss,accuracy,learning_rate",
        f"{model.pk},train,0.5,4,2.0,,0.01",
        f"{model.pk},train,2.0,16,0.5,,0.01",
        f"{model.pk},val,1.0,8,1.0,0.75,0.01",
    ]


def test_further_outputs_have_columns_of_their_own_whatever_they_are_called(model, make_dataset, make_model):
    other = make_model(make_dataset())
    measure(model, "val", 1, outputs={'a "top", 5': 0.5})
    measure(other, "val", 1, outputs={"aux": 0.25})
    rows = list(csv.DictReader(metrics_csv([model, other])))
    told = {row["model"]: (row['a "top", 5'], row["aux"]) for row in rows}
    assert told == {model.pk: ("0.5", ""), other.pk: ("", "0.25")}


def test_no_name_of_an_output_is_a_formula_and_numbers_stay_numbers(model):
    measure(model, "val", 1, outputs={"=1+1": -0.5})
    assert next(csv.DictReader(metrics_csv([model])))["'=1+1"] == "-0.5"


def test_only_a_model_has_them(client, model):
    assert client.get(f"/models/{model.dataset_id}/metrics.csv").status_code == 404
    assert "".join(metrics_csv([model])).count("\n") == 1
