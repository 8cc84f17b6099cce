"""Sweeps: several batch sizes or learning rates in one form create a model for each combination, or none at all."""

import re

import pytest
from django.conf import settings

from models_app.models import TrainedModel

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/classification.json"


def test_each_combination_of_a_sweep_becomes_a_model_that_is_named_after_it(client, form):
    response = client.post(CREATE, form(learning_rate="0.1,0.01", batch_size="8,16")).json()
    assert list(response) == ["jobs"]
    assert [job["name"] for job in response["jobs"]] == [
        "net learning_rate:0.1 batch_size:8",
        "net learning_rate:0.01 batch_size:8",
        "net learning_rate:0.1 batch_size:16",
        "net learning_rate:0.01 batch_size:16",
    ]
    rows = TrainedModel.objects.in_bulk([job["id"] for job in response["jobs"]])
    trained = [(rows[job["id"]].learning_rate, rows[job["id"]].batch_size) for job in response["jobs"]]
    assert trained == [(0.1, 8), (0.01, 8), (0.1, 16), (0.01, 16)]


def test_each_model_of_a_sweep_has_the_json_of_a_single_model(client, form):
    jobs = client.post(CREATE, form(batch_size="8,16")).json()["jobs"]
    first = TrainedModel.objects.get(batch_size=8)
    assert jobs[0] == {
        "job_id": first.pk,
        "id": first.pk,
        "name": "net batch_size:8",
        "status": "Waiting",
        "dataset_id": first.dataset_id,
    }


@pytest.mark.parametrize("rates", ["0.1,0.02", "[0.1, 0.02]", " 0.1 , 0.02 ", "0.1,0.02,0.1"])
def test_a_list_of_learning_rates_can_have_brackets_blanks_and_repetitions(client, form, rates):
    response = client.post(CREATE, form(learning_rate=rates)).json()
    assert [job["name"] for job in response["jobs"]] == ["net learning_rate:0.1", "net learning_rate:0.02"]


def test_a_list_of_learning_rates_can_be_a_json_list(client, form):
    body = form(learning_rate=[0.1, 0.02], batch_size=8)
    jobs = client.post(CREATE, body, content_type="application/json").json()["jobs"]
    assert [job["name"] for job in jobs] == ["net learning_rate:0.1", "net learning_rate:0.02"]


def test_an_empty_json_list_of_learning_rates_is_refused(client, form):
    response = client.post(CREATE, form(learning_rate=[]), content_type="application/json")
    assert response.json()["errors"] == [{"field": "learning_rate", "message": "The list has no value."}]


@pytest.mark.parametrize("one", ["0.1", "[0.1]", "0.1,0.1"])
def test_a_list_of_one_learning_rate_creates_a_single_model(client, form, one):
    assert client.post(CREATE, form(learning_rate=one)).json()["name"] == "net"


@pytest.mark.parametrize(
    "fields, field",
    [
        ({"learning_rate": "0.1,x"}, "learning_rate"),
        ({"learning_rate": "0.1,"}, "learning_rate"),
        ({"learning_rate": "0.1,-1"}, "learning_rate"),
        ({"learning_rate": "[[0.1]]"}, "learning_rate"),
        ({"learning_rate": "[]"}, "learning_rate"),
        ({"learning_rate": "1," * 100_000}, "learning_rate"),
        ({"batch_size": "8,0"}, "batch_size"),
        ({"batch_size": "8,1.5"}, "batch_size"),
        ({"learning_rate": ",".join(map(str, range(1, 12))), "batch_size": "1,2,3,4,5,6,7,8,9,10"}, "learning_rate"),
        ({"learning_rate": "1,2", "model_name": "n" * 250}, "model_name"),
        ({"learning_rate": "0.1,0.2", "lr_policy": "multistep", "lr_multistep_values": "85,50"}, "lr_multistep_values"),
    ],
)
def test_one_invalid_combination_of_a_sweep_creates_no_model(client, form, fields, field):
    response = client.post(CREATE, form(**fields))
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert not TrainedModel.objects.exists()
    assert len(list(settings.DIGITS_JOBS_DIR.glob("2*"))) == 1  # that of the dataset


def test_a_sweep_that_fails_midway_leaves_no_folder_behind(client, form):
    names = {"model_name": "n" * 237}  # short enough for "learning_rate:0.1" behind it, not for the second
    assert client.post(CREATE, form(learning_rate="0.1,0.01", **names)).status_code == 400
    assert not TrainedModel.objects.exists()
    assert len(list(settings.DIGITS_JOBS_DIR.glob("2*"))) == 1


def test_a_sweep_redirects_to_the_page_that_compares_its_models_and_a_single_model_to_its_page(client, form):
    create = CREATE.removesuffix(".json")
    ids = re.findall(r"[\d-]+-\w{4}", client.post(create, form(batch_size="8,16"))["Location"])
    assert set(ids) == set(TrainedModel.objects.values_list("pk", flat=True))
    one = client.post(create, form(model_name="one"))
    assert (one.status_code, one["Location"]) == (302, f"/models/{TrainedModel.objects.get(name='one').pk}")
