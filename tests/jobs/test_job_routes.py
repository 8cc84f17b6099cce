"""The routes that datasets and models share: index, status, abort, delete, edit; and their error responses."""

import copy

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from tests.support.api_requests import make_account

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]


def test_the_index_lists_running_jobs_first_then_the_newest(client, make_dataset):
    oldest, running, newest = make_dataset(name="a"), make_dataset(name="b"), make_dataset(name="c")
    lifecycle.advance(running, Status.RUNNING, worker="host/1/1")
    listed = client.get("/index.json").json()
    assert [job["id"] for job in listed["datasets"]] == [running.pk, newest.pk, oldest.pk]
    assert listed["datasets"][0] == {"id": running.pk, "name": "b", "status": "Running"}
    assert listed["models"] == []


def test_the_index_names_the_dataset_of_each_model(client, make_dataset, make_model):
    model = make_model(make_dataset())
    expected = {"id": model.pk, "name": "lenet", "status": "Waiting", "dataset_id": model.dataset_id}
    assert client.get("/index.json").json()["models"] == [expected]


def test_the_index_runs_the_same_number_of_queries_for_any_number_of_jobs(
    client, make_dataset, django_assert_num_queries
):
    for _ in range(5):
        make_dataset()
    with django_assert_num_queries(2):
        client.get("/index.json")


def test_a_doubled_leading_slash_is_accepted(client):
    assert client.get("//index.json").status_code == 200


def test_json_is_indented_by_two_spaces_with_keys_in_order(client, make_dataset):
    dataset = make_dataset()
    lines = client.get(f"/datasets/{dataset.pk}/status").content.decode().splitlines()
    assert lines == [
        "{",
        '  "error": null,',
        '  "status": "Waiting",',
        '  "name": "digits",',
        '  "type": "Image Classification Dataset",',
        '  "progress": 0.0',
        "}",
    ]


@pytest.mark.parametrize("kind", ["jobs", "datasets"])
def test_both_routes_report_the_status_of_a_dataset(client, make_dataset, kind):
    assert client.get(f"/{kind}/{make_dataset().pk}/status").json()["status"] == "Waiting"


@pytest.mark.parametrize("kind", ["jobs", "datasets", "models"])
def test_the_status_of_an_unknown_job_is_a_200_with_an_error(client, kind):
    response = client.get(f"/{kind}/20200101-000000-abcd/status")
    assert (response.status_code, response.json()) == (200, {"error": "Job not found."})


def test_the_models_route_does_not_find_a_dataset(client, make_dataset):
    response = client.get(f"/models/{make_dataset().pk}.json")
    assert response.status_code == 404
    assert response.json() == {
        "error": {"message": "404: Not Found", "type": "NotFound", "description": "Job not found"}
    }


def test_the_accept_header_selects_json_or_html(client, make_dataset):
    url = f"/datasets/{make_dataset().pk}"
    chrome = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    kinds = [client.get(url, headers={"Accept": accept})["Content-Type"] for accept in ("application/json", chrome)]
    assert kinds == ["application/json; charset=utf-8", "text/html; charset=utf-8"]


def test_the_json_suffix_overrides_the_accept_header(client, make_dataset):
    response = client.get(f"/datasets/{make_dataset().pk}.json", headers={"Accept": "text/html"})
    assert response["Content-Type"] == "application/json; charset=utf-8"


def test_a_waiting_job_is_aborted_at_once(client, make_dataset):
    dataset = make_dataset()
    response = client.post(f"/datasets/{dataset.pk}/abort")
    dataset.refresh_from_db()
    assert (response.content, dataset.status) == (b"Job aborted.", Status.ABORTED)


def test_an_ended_job_cannot_be_aborted(client, make_dataset):
    dataset = make_dataset()
    lifecycle.advance(dataset, Status.ERROR)
    response = client.post(f"/jobs/{dataset.pk}/abort.json")
    assert (response.status_code, response.json()["error"]["type"]) == (403, "Forbidden")
    assert "has ended (Error)" in response.json()["error"]["description"]


def test_deleting_a_job_removes_its_row_and_its_folder(client, make_dataset):
    dataset = make_dataset()
    build_dataset(dataset.pk)
    response = client.delete(f"/datasets/{dataset.pk}")
    assert response.content == b"Job deleted."
    assert not dataset.directory.exists()
    assert list(dataset.directory.parent.iterdir()) == []
    assert not Dataset.objects.exists()


def test_a_dataset_with_models_cannot_be_deleted(client, make_dataset, make_model):
    model = make_model(make_dataset())
    response = client.delete(f"/datasets/{model.dataset_id}.json")
    assert response.status_code == 403
    assert f"lenet ({model.pk})" in response.json()["error"]["description"]
    assert Dataset.objects.exists()


def test_a_put_changes_the_name_and_notes_of_a_job(client, make_dataset):
    dataset = make_dataset()
    edit = {"job_name": " cats ", "job_notes": "mine"}
    response = client.put(f"/jobs/{dataset.pk}", edit, content_type="application/json")
    dataset.refresh_from_db()
    assert response.content == b"Image Classification Dataset updated."
    assert (dataset.name, dataset.notes, dataset.status) == ("cats", "mine", Status.WAITING)


def test_the_jobs_route_redirects_to_the_page_of_the_job(client, make_dataset):
    dataset = make_dataset()
    assert client.get(f"/jobs/{dataset.pk}")["Location"] == f"/datasets/{dataset.pk}"


def test_an_unknown_json_route_responds_in_json(client):
    response = client.get("/nothing.json")
    assert (response.status_code, response.json()["error"]["type"]) == (404, "NotFound")


def test_a_wrong_method_is_reported_as_not_allowed(client):
    assert client.delete("/index.json").json()["error"]["type"] == "MethodNotAllowed"


def test_the_index_needs_a_login_where_accounts_are_required(client, settings):
    settings.DIGITS_AUTH = "required"
    assert client.get("/index.json").status_code == 401
    client.force_login(make_account("ada", "user"))
    assert client.get("/index.json").status_code == 200


@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_page_of_another_site_cannot_post(client, make_dataset, header):
    dataset = make_dataset()
    response = client.post(f"/datasets/{dataset.pk}/abort", headers=header)
    dataset.refresh_from_db()
    assert (response.status_code, dataset.status) == (403, Status.WAITING)


def test_a_foreign_host_name_is_rejected(client):
    assert client.get("/index.json", headers={"Host": "evil.example"}).status_code == 400


def test_a_job_belongs_to_the_user_who_creates_it(client, settings, digits_folder):
    settings.DIGITS_DATA_ROOTS = [digits_folder]
    client.force_login(make_account("grace", "user"))
    client.post("/datasets/images/classification.json", {"dataset_name": "d", "folder_train": str(digits_folder)})
    assert Dataset.objects.get().owner == "grace"


# The page of a model begins with the recipe auto, which fills in what else is left empty.
@pytest.mark.parametrize(
    "kind, expected, shown",
    [
        ("datasets", {"encoding": "png"}, "png"),
        ("models", {"recipe": "classic", "lr_policy": "step", "lr_multistep_values": "50,85"}, "auto"),
    ],
)
def test_the_page_of_a_form_shows_the_defaults(client, kind, expected, shown):
    page = client.get(f"/{kind}/images/classification", headers={"Accept": "text/html"})
    defaults = client.get(f"/{kind}/images/classification.json").json()["defaults"]
    assert page.status_code == 200
    assert defaults.items() >= expected.items()
    assert f'value="{shown}" selected' in page.content.decode()


@pytest.mark.parametrize("job_id", ["%00", "a%00b", "x" * 500, "日本", "20200101-000000-zzzz"])
def test_a_malformed_job_id_is_not_found(client, job_id):
    assert client.get(f"/datasets/{job_id}.json").status_code == 404
    assert client.delete(f"/jobs/{job_id}.json").status_code == 404
    assert client.get(f"/models/{job_id}/status").json() == {"error": "Job not found."}


@pytest.mark.parametrize("body", ["[1]", "null", '"a"', "1", "[" * 100_000, "{"])
@pytest.mark.parametrize("route", ["datasets/images/classification", "models/images/classification/classify_one"])
def test_a_body_that_is_no_json_object_is_a_bad_request(client, route, body):
    response = client.post(f"/{route}.json", body, content_type="application/json")
    assert (response.status_code, response.json()["error"]["type"]) == (400, "BadRequest")


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_a_form_that_is_too_large_is_a_413(client, settings, content_type):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20
    body = '{"job_id": "' + "x" * 2**20 + '"}'
    response = client.post("/models/images/classification/classify_one.json", body, content_type=content_type)
    assert (response.status_code, response.json()["error"]["type"]) == (413, "RequestEntityTooLarge")
    assert "more than 1 MiB" in response.json()["error"]["description"]


def test_a_form_of_too_many_fields_is_a_bad_request(client):
    body = "&".join(f"a{i}=1" for i in range(2000))
    response = client.post(
        "/datasets/images/classification.json", body, content_type="application/x-www-form-urlencoded"
    )
    assert (response.status_code, response.json()["error"]["type"]) == (400, "BadRequest")


def test_a_lone_surrogate_is_refused_and_not_echoed(client):
    response = client.post(
        "/datasets/images/classification.json", r'{"encoding": "\ud800"}', content_type="application/json"
    )
    message = '"?" is not a valid choice. Choose none, png or jpg.'
    assert {"field": "encoding", "message": message} in response.json()["errors"]


@pytest.mark.parametrize("origin", ["http://[bad", "null", ""])
def test_a_malformed_origin_is_refused_as_foreign(client, make_dataset, origin):
    assert client.post(f"/datasets/{make_dataset().pk}/abort", headers={"Origin": origin}).status_code == 403


def test_a_page_of_the_own_origin_can_post(client, make_dataset):
    origin = {"Origin": "http://testserver"}
    assert client.post(f"/datasets/{make_dataset().pk}/abort", headers=origin).status_code == 200


def test_the_index_is_paginated(client, make_dataset):
    created = [make_dataset().pk for _ in range(5)]
    pages = [client.get(f"/index.json?page={page}&page_size=2").json()["datasets"] for page in (1, 2, 3, 4)]
    assert [[job["id"] for job in page] for page in pages] == [created[4:2:-1], created[2:0:-1], created[:1], []]


def test_a_page_of_a_long_index_is_read_in_order_and_not_sorted(client, built_dataset, make_model):
    sample = make_model(built_dataset)
    TrainedModel.objects.bulk_create(copy_of(sample, f"20260101-000000-{number:04x}") for number in range(2000))
    with connection.cursor() as cursor, CaptureQueriesContext(connection) as ran:
        cursor.execute("ANALYZE models_app_trainedmodel")
        client.get("/index.json?page=1")
    (query,) = (one["sql"] for one in ran if "models_app_trainedmodel" in one["sql"] and "LIMIT 100" in one["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {query}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert ("trainedmodel_list" in plan, "Sort" in plan) == (True, False)


def copy_of(model, job_id):
    """A model that is not saved yet, with the same columns."""
    model = copy.copy(model)
    model.job_id = job_id
    return model


def test_a_page_that_is_no_number_is_an_error_of_its_field(client):
    assert client.get("/index.json?page=first").json()["errors"][0]["field"] == "page"


def test_notes_can_be_cleared_without_a_change_of_the_name(client, make_dataset):
    dataset = make_dataset(notes="old")
    assert client.put(f"/jobs/{dataset.pk}.json", {"job_notes": ""}, content_type="application/json").status_code == 200
    dataset.refresh_from_db()
    assert (dataset.name, dataset.notes) == ("digits", "")


def test_a_put_without_fields_is_a_bad_request(client, make_dataset):
    assert client.put(f"/jobs/{make_dataset().pk}.json", {}, content_type="application/json").status_code == 400
    assert client.put("/jobs/20200101-000000-abcd.json", {}, content_type="application/json").status_code == 404


def test_the_error_for_a_foreign_host_is_json_on_a_json_route(client):
    response = client.get("/index.json", headers={"Host": "evil.example"})
    assert response.json()["error"]["type"] == "BadRequest"
