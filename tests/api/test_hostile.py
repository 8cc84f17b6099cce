"""Requests that nobody sends by accident: each is refused in the contract's shape, and none fails the server."""

import io
import json
from pathlib import Path

import pytest
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator

from tests.api.test_openapi import routes

pytestmark = pytest.mark.django_db
DATASETS = "/datasets/images/classification.json"
MODELS = "/models/images/classification.json"
CLASSIFY_ONE = "/models/images/classification/classify_one.json"
CLASSIFY_MANY = "/models/images/classification/classify_many.json"
JSON = "application/json; charset=utf-8"
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"]


@pytest.fixture(autouse=True)
def _open_server(settings, digits_folder):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [digits_folder]


def ours():
    return [route for route in routes(get_resolver().url_patterns) if route.endswith(".json")]


def refused(answer, status):
    """Whether the answer is that status, in the contract's shape."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == JSON
    problem = answer.json()["error"]
    assert list(problem) == ["message", "type", "description"]
    assert problem["message"].startswith(f"{status}: ")
    assert problem["description"]
    return True


# --- methods -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", METHODS)
def test_each_method_is_answered_on_each_route(client, method):
    answers = [client.generic(method, route.replace("{job_id}", "20200101-000000-abcd")) for route in ours()]
    assert max(answer.status_code for answer in answers) < 500
    not_allowed = [answer for answer in answers if answer.status_code == 405]
    assert all(method not in answer["Allow"] for answer in not_allowed)
    assert all(method == "HEAD" or refused(answer, 405) for answer in not_allowed)


def test_options_tells_what_a_route_takes(client):
    told = client.options(DATASETS)
    assert (told.status_code, told["Content-Type"]) == (200, JSON)
    assert told["Allow"] == "GET, POST, HEAD, OPTIONS"
    assert told.json()["actions"]["POST"]["dataset_name"]["required"] is True


def test_head_is_get_without_its_body(client):
    answer = client.head("/index.json")
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, JSON, b"")


# --- content types -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "image/png", "nonsense", "multipart/mixed"])
@pytest.mark.parametrize("route", [DATASETS, CLASSIFY_ONE])
def test_a_body_of_another_type_is_a_415(client, route, content_type):
    assert refused(client.post(route, b"dataset_name=a", content_type=content_type), 415)


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
def test_a_body_that_is_not_what_it_says_is_the_clients_fault(client, content_type):
    for body in (b"", b"{}", b"\xff\xfe\x00", b"--x\r\n", b"\0" * 100):
        assert refused(client.generic("POST", CLASSIFY_ONE, body, content_type=content_type), 400)


@pytest.mark.parametrize(
    "accept", ["image/png", "application/xml", "*/*;q=0", "nonsense", "", "text/html;q=oops", ";;,"]
)
def test_json_routes_answer_json_whatever_is_accepted(client, accept):
    answer = client.get("/index.json", headers={"Accept": accept})
    assert (answer.status_code, answer["Content-Type"]) == (200, JSON)


# --- bodies --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("route", [DATASETS, MODELS, CLASSIFY_ONE, CLASSIFY_MANY, "/login.json"])
def test_a_body_that_is_no_json_object_is_the_clients_fault(client, route):
    for body in ("[]", "[{}]", "3", '"x"', "null", "true", "", "{", "nul", "NaN", '{"a":' * 5000):
        assert client.post(route, body, content_type="application/json").status_code == 400


HOSTILE = [
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
    """[(method, route, fields)] of everything that takes a form."""
    schema = SchemaGenerator().get_schema(public=True)
    taken = []
    for route, methods in schema["paths"].items():
        for method, told in methods.items():
            if "requestBody" in told:
                name = told["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                taken.append((method, route, list(schema["components"]["schemas"][name]["properties"])))
    return taken


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value)[:20])
def test_no_field_fails_the_server_whatever_it_holds(client, forms, value, make_dataset, make_model):
    model = make_model(make_dataset())
    for method, route, fields in forms:
        url = route.replace("{job_id}", model.pk if "models" in route else model.dataset_id)
        for chosen in ({"method": "textfile"}, {}):
            body = json.dumps(dict.fromkeys(fields, value) | {"job_id": model.pk} | chosen)
            answer = client.generic(method.upper(), url, body, content_type="application/json")
            assert answer.status_code < 500, (route, answer.content)


# --- sizes and counts ----------------------------------------------------------------------------------------------
LARGE = 17 << 20
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"


def part(name, value, more=""):
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'


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
def test_a_body_that_is_too_large_or_of_too_many_parts_is_refused(client, status, content_type, body):
    assert refused(client.generic("POST", DATASETS, body, content_type=content_type), status)


def test_of_a_field_that_is_sent_twice_the_last_counts(client, make_dataset):
    dataset = make_dataset()
    body = "job_name=first&job_name=second"
    client.put(f"/jobs/{dataset.pk}.json", body, content_type=FORM)
    dataset.refresh_from_db()
    assert dataset.name == "second"


@pytest.mark.parametrize("name", ["../../../../tmp/evil", "/etc/passwd", "a\0b", "", ".", "..", "é" * 300, "con\r\nx"])
def test_the_name_of_an_upload_is_no_path(client, digits_folder, make_dataset, name):
    labels = part("textfile_labels_file", "0\n1\n", f'; filename="{name}"')
    images = part("textfile_train_images", f"{digits_folder}/0/0.png 0\n", f'; filename="{name}"')
    fields = part("dataset_name", "x") + part("method", "textfile")
    answer = client.generic("POST", DATASETS, fields + labels + images + "--b--\r\n", content_type=MULTIPART)
    assert answer.status_code in (200, 400)
    assert not Path("/tmp/evil").exists()


def test_a_file_where_a_text_belongs_and_a_text_where_a_file_belongs_are_wrong_fields(client):
    sent = {"dataset_name": io.BytesIO(b"x"), "method": "textfile", "textfile_train_images": "/etc/passwd"}
    answer = client.post(DATASETS, sent)
    wrong = {error["field"] for error in answer.json()["errors"]}
    assert (answer.status_code, wrong >= {"dataset_name", "textfile_train_images"}) == (400, True)


# --- addresses -----------------------------------------------------------------------------------------------------
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
def test_no_address_fails_the_server_or_shows_a_file(client, path):
    answer = client.get(path)
    assert answer.status_code < 500
    assert b"root:" not in answer.getvalue()
