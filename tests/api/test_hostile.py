"""Malformed and hostile requests: each gets an error in the documented format, and none causes a server error."""

import io
import json
from pathlib import Path

import pytest
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator

from tests.api.test_openapi import routes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
DATASETS = "/datasets/images/classification.json"
MODELS = "/models/images/classification.json"
CLASSIFY_ONE = "/models/images/classification/classify_one.json"
CLASSIFY_MANY = "/models/images/classification/classify_many.json"
JSON = "application/json; charset=utf-8"
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"]


def json_routes():
    return [route for route in routes(get_resolver().url_patterns) if route.endswith(".json")]


def is_error(response, status):
    """Check that a response has this status and the documented error format; returns True."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == JSON
    error = response.json()["error"]
    assert list(error) == ["message", "type", "description"]
    assert error["message"].startswith(f"{status}: ")
    assert error["description"]
    return True


# --- methods ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", METHODS)
def test_every_method_gets_a_response_on_every_route(client, method):
    responses = [client.generic(method, route.replace("{job_id}", "20200101-000000-abcd")) for route in json_routes()]
    assert max(response.status_code for response in responses) < 500
    not_allowed = [response for response in responses if response.status_code == 405]
    assert all(method not in response["Allow"] for response in not_allowed)
    assert all(method == "HEAD" or is_error(response, 405) for response in not_allowed)


def test_options_describes_the_fields_of_a_route(client):
    description = client.options(DATASETS)
    assert (description.status_code, description["Content-Type"]) == (200, JSON)
    assert description["Allow"] == "GET, POST, HEAD, OPTIONS"
    assert description.json()["actions"]["POST"]["dataset_name"]["required"] is True


def test_head_returns_the_headers_of_get_without_a_body(client):
    response = client.head("/index.json")
    assert (response.status_code, response["Content-Type"], response.content) == (200, JSON, b"")


# --- content types ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "image/png", "nonsense", "multipart/mixed"])
@pytest.mark.parametrize("route", [DATASETS, CLASSIFY_ONE])
def test_a_body_of_an_unsupported_content_type_gets_415(client, route, content_type):
    assert is_error(client.post(route, b"dataset_name=a", content_type=content_type), 415)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=é",
        "application/json; charset=no-such",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded; charset=no-such",
    ],
)
def test_a_body_that_does_not_match_its_content_type_gets_400(client, content_type):
    for body in (b"", b"{}", b"\xff\xfe\x00", b"--x\r\n", b"\0" * 100):
        assert is_error(client.generic("POST", CLASSIFY_ONE, body, content_type=content_type), 400)


@pytest.mark.parametrize(
    "accept", ["image/png", "application/xml", "*/*;q=0", "nonsense", "", "text/html;q=oops", ";;,"]
)
def test_json_routes_return_json_for_any_accept_header(client, accept):
    response = client.get("/index.json", headers={"Accept": accept})
    assert (response.status_code, response["Content-Type"]) == (200, JSON)


# --- bodies ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("route", [DATASETS, MODELS, CLASSIFY_ONE, CLASSIFY_MANY, "/login.json"])
def test_a_json_body_that_is_no_object_gets_400(client, route):
    for body in ("[]", "[{}]", "3", '"x"', "null", "true", "", "{", "nul", "NaN", '{"a":' * 5000):
        assert client.post(route, body, content_type="application/json").status_code == 400


HOSTILE_VALUES = [
    None,
    True,
    [],
    {},
    [[]],
    {"a": {"b": []}},
    [None],
    10**400,
    -(10**400),
    1e308,
    float("nan"),
    float("inf"),
    "1e999",
    "9" * 5000,
    "\0",
    "a\0b",
    "\ud800",
    "\U0010ffff",
    "../../../etc/passwd",
    "/etc/passwd",
    "file:///etc/passwd",
    "/proc/self/environ",
    "%00",
    "x" * 70_000,
    "${jndi:ldap://x}",
    "' OR 1=1 --",
    "{{7*7}}",
]


@pytest.fixture(scope="module")
def forms():
    """[(method, route, fields)] of every operation with a form."""
    schema = SchemaGenerator().get_schema(public=True)
    forms = []
    for route, methods in schema["paths"].items():
        for method, description in methods.items():
            if "requestBody" in description:
                (content,) = description["requestBody"]["content"].values()
                name = content["schema"]["$ref"].rpartition("/")[2]
                forms.append((method, route, list(schema["components"]["schemas"][name]["properties"])))
    return forms


@pytest.mark.slow
@pytest.mark.parametrize("value", HOSTILE_VALUES, ids=lambda value: ascii(value)[:20])
def test_hostile_values_in_any_field_cause_no_server_error(client, forms, value, make_dataset, make_model):
    model = make_model(make_dataset())
    for method, route, fields in forms:
        url = route.replace("{job_id}", model.pk if "models" in route else model.dataset_id)
        for method_field in ({"method": "textfile"}, {}):
            body = json.dumps(dict.fromkeys(fields, value) | {"job_id": model.pk} | method_field)
            response = client.generic(method.upper(), url, body, content_type="application/json")
            assert response.status_code < 500, (route, response.content)


# --- sizes and counts ------------------------------------------------------------------------------------------------
LARGE = 17 << 20
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"


def part(name, value, parameters=""):
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{parameters}\r\n\r\n{value}\r\n'


@pytest.mark.parametrize(
    "status, content_type, body",
    [
        (413, FORM, "dataset_name=" + "x" * LARGE),
        (413, MULTIPART, part("dataset_name", "x" * LARGE) + "--b--\r\n"),
        (413, "application/json", '{"dataset_name": "' + "x" * LARGE + '"}'),
        (400, FORM, "&".join(f"a{i}=1" for i in range(2000))),
        (400, MULTIPART, "".join(part(f"a{i}", "1") for i in range(2000)) + "--b--\r\n"),
        (400, MULTIPART, "".join(part(f"a{i}", "1", f'; filename="{i}"') for i in range(200)) + "--b--\r\n"),
    ],
    ids=["form", "multipart", "JSON", "form of many fields", "multipart of many fields", "multipart of many files"],
)
def test_a_body_that_is_too_large_or_has_too_many_parts_is_rejected(client, status, content_type, body):
    assert is_error(client.generic("POST", DATASETS, body, content_type=content_type), status)


def test_the_last_value_of_a_repeated_field_is_used(client, make_dataset):
    dataset = make_dataset()
    body = "job_name=first&job_name=second"
    client.put(f"/jobs/{dataset.pk}.json", body, content_type=FORM)
    dataset.refresh_from_db()
    assert dataset.name == "second"


@pytest.mark.parametrize("name", ["../../../../tmp/evil", "/etc/passwd", "a\0b", "", ".", "..", "é" * 300, "con\r\nx"])
def test_the_file_name_of_an_upload_is_not_used_as_a_path(client, digits_folder, make_dataset, name):
    labels = part("textfile_labels_file", "0\n1\n", f'; filename="{name}"')
    images = part("textfile_train_images", f"{digits_folder}/0/0.png 0\n", f'; filename="{name}"')
    fields = part("dataset_name", "x") + part("method", "textfile")
    response = client.generic("POST", DATASETS, fields + labels + images + "--b--\r\n", content_type=MULTIPART)
    assert response.status_code in (200, 400)
    assert not Path("/tmp/evil").exists()


def test_files_in_text_fields_and_text_in_file_fields_are_rejected(client):
    form = {"dataset_name": io.BytesIO(b"x"), "method": "textfile", "textfile_train_images": "/etc/passwd"}
    response = client.post(DATASETS, form)
    field_errors = {error["field"] for error in response.json()["errors"]}
    assert (response.status_code, field_errors >= {"dataset_name", "textfile_train_images"}) == (400, True)


# --- URLs ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path",
    [
        "/datasets/../index.json",
        "/datasets/%2e%2e%2findex.json",
        "/datasets/..%2f..%2fetc%2fpasswd.json",
        "/datasets/%ff%fe.json",
        "/datasets/%ed%a0%80.json",
        "/models/%00/download.zip",
        "/models/x/download.exe",
        "/models/20200101-000000-abcd/download.zip?epoch=%00",
        "/static/../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/index.json?page=%ff&page_size=99999999999999999999",
        "/index.json?" + "a=1&" * 2000,
        "/autocomplete/path.json?query=%00",
        "/autocomplete/path.json?query=%ed%a0%80",
        "/autocomplete/path.json?query=" + "x/" * 5000,
        "/" + "x" * 10_000,
    ],
)
def test_hostile_urls_cause_no_server_error_and_show_no_file(client, path):
    response = client.get(path)
    assert response.status_code < 500
    assert b"root:" not in response.getvalue()
