"""The resources of /api/v1 and ?details=1: facts, filters, order, pages, what users may see, and flat costs."""

import copy

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from datasets.models import Dataset
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Device, Status
from models_app import evaluations
from models_app.models import TrainedModel
from models_app.results import Metric, Snapshot
from tests.support.api_requests import field_errors, make_account
from tests.support.samples.row_samples import add_snapshot, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]


def measure(model, *accuracies):
    Metric.objects.bulk_create(
        Metric(trained_model=model, split="val", epoch=i + 1, loss=1, accuracy=accuracy, learning_rate=0.1)
        for i, accuracy in enumerate(accuracies)
    )


def names(client, address):
    return [row["name"] for row in client.get(address).json()["results"]]


@pytest.fixture
def three_models(make_dataset, make_model):
    """Models a, b, c: the first without a validation, the others with their best at 0.5 and 0.75."""
    dataset = with_categories(make_dataset())
    Dataset.objects.update(splits=[{"name": "train", "entries": 90}, {"name": "val", "entries": 30}])
    dataset.refresh_from_db()
    models = [make_model(dataset, name=name) for name in ("a", "b", "c")]
    measure(models[1], 0.25, 0.5)
    measure(models[2], 0.75, 0.5)
    return models


# --- lists -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "query, expected",
    [
        ("", ["c", "b", "a"]), ("sort=name", ["a", "b", "c"]), ("sort=-name", ["c", "b", "a"]),
        ("sort=accuracy", ["b", "c", "a"]), ("sort=-accuracy", ["c", "b", "a"]), ("min_accuracy=0.6", ["c"]),
        ("max_accuracy=0.6", ["b"]), ("name=B", ["b"]), ("status=aborted,running", ["a"]), ("owner=nobody", []),
        ("owner=ada&group=", ["c", "b", "a"]), ("group=g", ["b"]), ("sort=name&page=2&page_size=2", ["c"]),
        ("dataset=20200101-000000-abcd", []), ("sort=created&status=", ["a", "b", "c"]),
    ],
)  # fmt: skip
def test_models_are_filtered_and_sorted(client, three_models, query, expected):
    lifecycle.advance(three_models[0], Status.ABORTED)
    TrainedModel.objects.filter(name="b").update(group_name="g")
    assert names(client, f"/api/v1/models?{query}") == expected


def test_a_page_names_the_pages_beside_it(client, three_models):
    page = client.get("/api/v1/models?page=2&page_size=1&sort=name").json()
    assert page["count"] == 3
    assert page["next"] == "http://testserver/api/v1/models?page=3&page_size=1&sort=name"
    assert page["previous"] == "http://testserver/api/v1/models?page_size=1&sort=name"
    assert client.get("/api/v1/models?page=4&page_size=1").status_code == 404


@pytest.mark.parametrize("query, field", [
    ("sort=height", "sort"), ("status=Sleeping", "status"), ("page_size=501", "page_size"),
    ("min_accuracy=2", "min_accuracy"),
])  # fmt: skip
def test_a_wrong_filter_is_an_error_of_its_field(client, query, field):
    assert list(field_errors(client.get(f"/api/v1/models?{query}"))) == [field]


def test_an_address_under_api_v1_that_does_not_exist_responds_in_json(client):
    response = client.get("/api/v1/nothing", headers={"Accept": "text/html"})
    assert (response.status_code, response.json()["error"]["type"]) == (404, "NotFound")


def test_unknown_filters_are_listed_in_the_header(client):
    assert client.get("/api/v1/datasets?stauts=Done").headers["X-Digits-Ignored"] == "stauts"


@pytest.mark.parametrize("kind, most", [("models", 5), ("datasets", 3)])
def test_a_list_runs_the_same_number_of_queries_for_any_number_of_jobs(client, three_models, kind, most):
    add_rows(three_models[2], 300)
    with CaptureQueriesContext(connection) as ran:
        assert len(client.get(f"/api/v1/{kind}").json()["results"]) == {"models": 50, "datasets": 1}[kind]
    assert len(ran) <= most


@pytest.mark.parametrize("query, index", [("page=1", "trainedmodel_list"), ("sort=-accuracy", "metric_best")])
def test_the_first_page_of_many_models_is_read_by_an_index(client, three_models, query, index):
    add_rows(three_models[2], 2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE models_app_trainedmodel, models_app_metric")
    with CaptureQueriesContext(connection) as ran:
        client.get(f"/api/v1/models?{query}")
    (page,) = (one["sql"] for one in ran if "LIMIT 50" in one["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {page}")
        assert index in "\n".join(line for (line,) in cursor.fetchall())


def add_rows(model, count):
    """Copies of a model, each with two validations."""
    ids = [f"20260101-000000-{number:04x}" for number in range(count)]
    rows = [copy.copy(model) for _ in ids]
    for row, row.job_id in zip(rows, ids, strict=True):
        row.pk = row.job_id
    TrainedModel.objects.bulk_create(rows)
    Metric.objects.bulk_create(
        Metric(trained_model_id=pk, split="val", epoch=epoch, loss=1, accuracy=0.1, learning_rate=0.1)
        for pk in ids
        for epoch in (1, 2)
    )


# --- one job ---------------------------------------------------------------------------------------------------------
def test_a_dataset_shows_its_categories_skipped_files_and_settings(client, built_dataset, make_model):
    make_model(built_dataset)
    (built_dataset.directory / "build.log").write_text("skipped 3/x.png: not an image\n")
    type(built_dataset).objects.update(skipped=1, skipped_reasons={"not an image": 1}, notes="mine")
    facts = client.get(f"/api/v1/datasets/{built_dataset.pk}").json()
    assert facts["categories"][3] == {"name": "3", "train": 9, "val": 3, "test": 0}
    assert facts["skipped_files"] == {
        "count": 1, "reasons": {"not an image": 1}, "files": ["3/x.png: not an image"]
    }  # fmt: skip
    assert (facts["images"], facts["category_count"], facts["model_count"]) == ({"train": 90, "val": 30}, 10, 1)
    assert (facts["notes"], facts["owner"], facts["settings"]["resize_width"]) == ("mine", "ada", 28)
    documented = client.get(f"/datasets/{built_dataset.pk}.json").json()
    assert client.get(f"/datasets/{built_dataset.pk}.json?details=1").json() == documented | {"details": facts}


def test_a_model_shows_its_snapshots_settings_and_evaluations(client, three_models):
    model = three_models[1]
    add_snapshot(model, 1, seed=0)
    newest = add_snapshot(model, 2, seed=0)
    Snapshot.objects.filter(pk=newest.pk).update(keep=True)
    evaluation = evaluations.evaluate(model, "val", owner="ada")
    facts = client.get(f"/api/v1/models/{model.pk}").json()
    marks = [{name: shot[name] for name in ("epoch", "best", "latest", "keep")} for shot in facts["snapshots"]]
    assert marks == [
        {"epoch": 2, "best": True, "latest": True, "keep": True},
        {"epoch": 1, "best": False, "latest": False, "keep": False},
    ]
    assert facts["snapshots"][0]["bytes"] > 1000
    assert (facts["snapshots"][0]["accuracy"], facts["accuracy"], facts["snapshot_count"]) == (0.5, 0.5, 2)
    assert facts["settings"]["standard_networks"] == "lenet"
    assert [row["id"] for row in facts["evaluations"]] == [evaluation.pk]
    assert client.get(f"/models/{model.pk}.json?details=1").json()["details"] == facts
    assert "details" not in client.get(f"/models/{model.pk}.json").json()


def test_a_waiting_job_shows_its_place_and_the_reason(client, three_models, cpu):
    facts = client.get(f"/api/v1/models/{three_models[1].pk}").json()
    assert facts["queue"]["position"] == 2
    assert facts["queue"]["reason"].startswith("waiting for dataset digits (Waiting")
    lifecycle.advance(three_models[1], Status.ABORTED)
    assert client.get(f"/api/v1/models/{three_models[1].pk}").json()["queue"] is None


def test_a_search_and_an_evaluation_are_resources_too(client, three_models):
    model = three_models[0]
    form = {"model_name": "s", "dataset": model.dataset_id, "standard_networks": "lenet", "group_name": "g"}
    created = client.post("/models/images/classification.json", form | {"learning_rate": "0.001..0.1 log"}).json()
    assert names(client, "/api/v1/searches?group=g") == ["s"]
    facts = client.get(f"/api/v1/searches/{created['id']}").json()
    assert (facts["dataset_id"], list(facts["space"]), facts["leaderboard"]) == (
        model.dataset_id,
        ["learning_rate"],
        [],
    )
    add_snapshot(model, 1, seed=0)
    evaluation = evaluations.evaluate(model, "val", owner="ada")
    assert client.get(f"/api/v1/evaluations?model={model.pk}").json()["results"][0]["id"] == evaluation.pk
    assert client.get(f"/api/v1/evaluations/{evaluation.pk}").json()["split"] == "val"
    assert client.get("/api/v1/pretrained").json() == {"count": 0, "next": None, "previous": None, "results": []}


# --- the server ------------------------------------------------------------------------------------------------------
def test_the_state_of_the_server_shows_queue_devices_workers_and_disk(client, three_models, cpu, register_worker):
    worker = register_worker("io")
    Device.objects.filter(pk=cpu.pk).update(leased_to=three_models[0].pk)
    queues = {queue["jobs_of"]: queue for queue in client.get("/api/v1/queue").json()["queues"]}
    assert [job["name"] for job in queues["models"]["jobs"]] == ["a", "b", "c"]
    device = client.get("/api/v1/devices").json()["devices"][0]
    assert (device["device"], device["job"]) == ("cpu", {"id": three_models[0].pk, "name": "a"})
    assert {engine["name"] for engine in device["engines"]} >= {"mxnet", "torch"}
    assert [found["name"] for found in client.get("/api/v1/workers").json()["workers"]] == [worker.name]
    disk = client.get("/api/v1/disk").json()
    assert 0 < disk["free"] <= disk["total"]


# --- who may see what ------------------------------------------------------------------------------------------------
def test_a_user_of_a_private_server_sees_only_own_jobs_and_no_paths(client, settings, three_models, digits_folder):
    settings.DIGITS_AUTH, settings.DIGITS_PRIVATE = "required", True
    TrainedModel.objects.filter(name="a").update(owner="ugo")
    client.force_login(make_account("ugo", "viewer"))
    listed = client.get("/api/v1/models").json()["results"]
    assert [(row["name"], row["dataset"]["name"]) for row in listed] == [("a", None)]
    assert names(client, "/api/v1/datasets") == []
    assert client.get(f"/api/v1/datasets/{three_models[0].dataset_id}").status_code == 404
    client.force_login(make_account("ada", "user"))
    response = client.get(f"/api/v1/datasets/{three_models[0].dataset_id}")
    assert response.json()["directory"] == ""
    assert str(digits_folder.parent) not in response.content.decode()


def test_the_resources_need_a_login_where_accounts_are_required(client, settings):
    settings.DIGITS_AUTH = "required"
    routes = ("datasets", "models", "pretrained", "searches", "evaluations", "queue", "devices", "workers", "disk")
    assert {client.get(f"/api/v1/{route}").status_code for route in routes} == {401}
