"""/api/schema and /api/docs: the schema is valid and complete, and has the same permissions as the API."""

import re

import pytest
from django.urls import get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from tests.support.api_requests import make_account

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
# Routes that do not belong to the API.
OTHER_ROUTES = (
    r"/(admin|\^static|api/(schema|docs)|healthz|readyz|metrics|oidc|about|account/|uploads|pages"
    r"|datasets/\{job_id\}/(images|mean|strip)"
    r"|models/(compare|\{job_id\}/evaluation/cell)"
    r"|(datasets|models)(/images/\w+/new)?$)"
)


@pytest.fixture(scope="module")
def schema():
    return SchemaGenerator().get_schema(public=True)


def operations(schema):
    """{(method, path): operation}"""
    paths = schema["paths"].items()
    return {(method, path): operation for path, methods in paths for method, operation in methods.items()}


def routes(patterns, prefix=""):
    """Every URL path of the server, in the notation of the schema."""
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            yield re.sub(r"<\w+:(\w+)>", r"{\1}", f"/{prefix}{pattern.pattern}")


def test_the_openapi_schema_is_valid_and_generated_without_warnings(capsys):
    validate_schema(SchemaGenerator().get_schema(public=True))
    assert not GENERATOR_STATS
    assert capsys.readouterr().err == ""


def test_the_openapi_schema_lists_every_route_once(schema):
    api_routes = {path for path in routes(get_resolver().url_patterns) if not re.match(OTHER_ROUTES, path)}
    assert set(schema["paths"]) == {path for path in api_routes - {"/"} if f"{path}.json" not in api_routes}
    assert {"/index.json", "/models/{job_id}/download.{form}"} <= set(schema["paths"])


def test_each_openapi_operation_has_a_unique_id_from_its_route(schema):
    ids = {operation["operationId"] for operation in operations(schema).values()}
    assert len(ids) == len(operations(schema))
    assert {"get_index", "post_datasets_images_classification", "delete_jobs_job_id"} <= ids


def test_the_openapi_schema_names_one_content_type_for_each_form_multipart_if_it_has_files(schema):
    bodies = [operation["requestBody"] for operation in operations(schema).values() if "requestBody" in operation]
    contents = [next(iter(body["content"].items())) for body in bodies if len(body["content"]) == 1]
    forms = schema["components"]["schemas"]
    has_files = ["'binary'" in str(forms[content["schema"]["$ref"].rpartition("/")[2]]) for _, content in contents]
    assert len(contents) == len(bodies) > 15
    assert [media_type for media_type, _ in contents] == [
        "multipart/form-data" if files else "application/json" for files in has_files
    ]
    assert {True, False} == set(has_files)


def test_every_openapi_field_and_parameter_has_a_description(schema):
    forms = {name: form for name, form in schema["components"]["schemas"].items() if name.endswith("Form")}
    fields = {f"{name}.{key}": field for name, form in forms.items() for key, field in form["properties"].items()}
    parameters = {
        f"{operation['operationId']}.{parameter['name']}": parameter
        for operation in operations(schema).values()
        for parameter in operation.get("parameters", [])
    }
    assert len(fields) > 60
    assert [name for name, described in (fields | parameters).items() if not described.get("description")] == []


def test_the_openapi_schema_has_the_defaults_choices_and_bounds_of_the_form(schema):
    form = schema["components"]["schemas"]["ClassificationDatasetForm"]
    assert form["required"] == ["dataset_name"]
    assert form["properties"]["resize_mode"]["enum"] == ["crop", "squash", "fill", "half_crop"]
    assert form["properties"]["resize_mode"]["default"] == "squash"
    width = form["properties"]["resize_width"]
    assert (width["minimum"], width["maximum"], width["default"]) == (1, 4096, 256)
    assert form["properties"]["textfile_train_images"]["format"] == "binary"


def test_every_openapi_response_declares_its_content_type(schema):
    responses = {
        f"{key} {status}": response
        for key, operation in operations(schema).items()
        for status, response in operation["responses"].items()
    }
    assert [name for name, response in responses.items() if not response.get("content") and "302" not in name] == []


def test_the_openapi_schema_has_json_and_the_text_of_digits_for_actions(schema):
    for key in [("post", "/jobs/{job_id}/abort.json"), ("put", "/models/{job_id}.json"), ("delete", "/jobs.json")]:
        assert list(operations(schema)[key]["responses"]["200"]["content"]) == ["application/json", "text/plain"]


def test_every_openapi_operation_lists_its_responses_and_errors(schema):
    responses = {key: operation["responses"] for key, operation in operations(schema).items()}
    assert all("302" in by_status or by_status["200"]["content"] for by_status in responses.values())
    classify = responses["post", "/models/images/classification/classify_one.json"]
    assert set(classify) == {"200", "400", "401", "403", "404", "409", "413", "415", "422", "429"}
    assert classify["404"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Refusal"}
    assert {"FormErrors", "FormErrorsOfDigits"} <= set(schema["components"]["schemas"])


def test_the_openapi_schema_requires_a_login_on_a_server_with_accounts(client, settings):
    settings.DIGITS_AUTH = "required"
    assert [client.get(f"/api/{what}").status_code for what in ("schema", "docs")] == [401, 401]
    client.force_login(make_account("ada", "viewer"))
    assert [client.get(f"/api/{what}").status_code for what in ("schema", "docs")] == [200, 200]


def test_the_openapi_schema_is_json_even_for_a_browser(client):
    response = client.get("/api/schema", headers={"Accept": "text/html"})
    assert response["Content-Type"] == "application/json; charset=utf-8"
    assert response.json()["openapi"].startswith("3.")


def test_the_openapi_page_loads_nothing_from_other_sites(client):
    page = client.get("/api/docs").content.decode()
    urls = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(urls) >= 3
    assert all(url.startswith(("/static/", "/api/docs?")) for url in urls)
    assert all(client.get(url).getvalue() for url in urls)


@pytest.mark.parametrize(
    "route, key",
    [
        ("classification/classify_one", "predictions"),
        ("classification/classify_many", "classifications"),
        ("classification/top_n", "top_n"),
        ("generic/infer_one", "outputs"),
        ("generic/infer_many", "outputs"),
    ],
)
def test_the_openapi_schema_names_the_key_of_each_inference_response(schema, route, key):
    response = operations(schema)["post", f"/models/images/{route}.json"]["responses"]["200"]
    assert response["content"]["application/json"]["schema"]["required"] == [key]
    assert ("X-Digits-Skipped" in response.get("headers", {})) == (not route.endswith("_one"))
