"""/api/schema and its page: valid, complete, and readable for whom the rest is."""

import re

import pytest
from django.urls import get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from tests.support.api_requests import make_account

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
BODIES = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]


# No routes of the API.
OTHERS = r"/(admin|\^static|api|healthz|readyz|metrics|oidc|(datasets|models)(/images/\w+/new)?$)"


@pytest.fixture(scope="module")
def schema():
    return SchemaGenerator().get_schema(public=True)


def operations(schema):
    return {(method, path): told for path, methods in schema["paths"].items() for method, told in methods.items()}


def routes(patterns, prefix=""):
    """Every path of ours, as the schema writes it."""
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            yield re.sub(r"<\w+:(\w+)>", r"{\1}", f"/{prefix}{pattern.pattern}")


def test_the_schema_is_valid_and_its_generator_has_no_complaint(capsys):
    validate_schema(SchemaGenerator().get_schema(public=True))
    assert not GENERATOR_STATS
    assert capsys.readouterr().err == ""


def test_the_schema_has_every_route_once_by_its_json_address(schema):
    ours = {path for path in routes(get_resolver().url_patterns) if not re.match(OTHERS, path)}
    assert set(schema["paths"]) == {path for path in ours - {"/"} if f"{path}.json" not in ours}
    assert {"/index.json", "/models/{job_id}/download.{form}"} <= set(schema["paths"])


def test_each_operation_has_an_id_of_its_own_that_comes_from_its_route(schema):
    ids = {told["operationId"] for told in operations(schema).values()}
    assert len(ids) == len(operations(schema))
    assert {"get_index", "post_datasets_images_classification", "delete_jobs_job_id"} <= ids


def test_a_form_can_be_sent_in_three_ways(schema):
    bodies = [sorted(told["requestBody"]["content"]) for told in operations(schema).values() if "requestBody" in told]
    assert len(bodies) > 5
    assert all(body == BODIES for body in bodies)


def test_every_field_and_every_parameter_is_described(schema):
    forms = {name: form for name, form in schema["components"]["schemas"].items() if name.endswith("Form")}
    fields = {f"{name}.{field}": told for name, form in forms.items() for field, told in form["properties"].items()}
    parameters = {
        f"{told['operationId']}.{parameter['name']}": parameter
        for told in operations(schema).values()
        for parameter in told.get("parameters", [])
    }
    assert len(fields) > 60
    assert [name for name, told in (fields | parameters).items() if not told.get("description")] == []


def test_defaults_choices_bounds_and_what_is_required_come_from_the_form(schema):
    form = schema["components"]["schemas"]["ClassificationDatasetForm"]
    assert form["required"] == ["dataset_name"]
    assert form["properties"]["resize_mode"]["enum"] == ["crop", "squash", "fill", "half_crop"]
    assert form["properties"]["resize_mode"]["default"] == "squash"
    width = form["properties"]["resize_width"]
    assert (width["minimum"], width["maximum"], width["default"]) == (1, 4096, 256)
    assert form["properties"]["textfile_train_images"]["format"] == "binary"


def test_every_operation_says_what_it_answers_and_how_it_refuses(schema):
    told = operations(schema)
    assert all("302" in answers["responses"] or answers["responses"]["200"]["content"] for answers in told.values())
    one = told["post", "/models/images/classification/classify_one.json"]["responses"]
    assert set(one) == {"200", "400", "401", "403", "404", "409", "413", "415", "422", "429"}
    assert one["404"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Refusal"}
    assert {"FormErrors", "FormErrorsOfDigits"} <= set(schema["components"]["schemas"])


def test_who_has_not_logged_in_reads_no_schema(client, settings):
    settings.DIGITS_AUTH = "required"
    assert [client.get(f"/api/{what}").status_code for what in ("schema", "docs")] == [401, 401]
    client.force_login(make_account("ada", "viewer"))
    assert [client.get(f"/api/{what}").status_code for what in ("schema", "docs")] == [200, 200]


def test_the_schema_is_json_whoever_asks(client):
    answer = client.get("/api/schema", headers={"Accept": "text/html"})
    assert answer["Content-Type"] == "application/json; charset=utf-8"
    assert answer.json()["openapi"].startswith("3.")


def test_the_page_asks_no_other_site_for_anything(client):
    page = client.get("/api/docs").content.decode()
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) >= 3
    assert all(address.startswith(("/static/", "/api/docs?")) for address in addresses)
    assert all(client.get(address).getvalue() for address in addresses)


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
def test_an_answer_of_a_network_has_its_documented_key(schema, route, key):
    answer = operations(schema)["post", f"/models/images/{route}.json"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"]["required"] == [key]
    assert ("X-Digits-Skipped" in answer.get("headers", {})) == (not route.endswith("_one"))
