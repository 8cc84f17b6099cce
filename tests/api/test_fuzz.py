"""Every operation of the schema, with data that fit it and data that don't: none fails, each answers as it says.

`make test` tries a few examples of each, `make fuzz` many (FUZZ_EXAMPLES). Which ones is fixed: a failure comes again.
"""

import contextlib
import json
import os

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.support.samples.network_samples import CLASSIFIER
from tests.support.samples.row_samples import add_snapshot, image_list, with_categories

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


def server(environ, start_response):
    """The WSGI application, its answers read to the end and closed as servers do."""
    with contextlib.closing(get_wsgi_application()(environ, start_response)) as answer:
        return [b"".join(answer)]


def operations():
    """{tag: its operations, those that delete last}"""
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(SchemaGenerator().get_schema(public=True))))
    schema.app = server
    found = sorted((found.ok() for found in schema.get_all_operations()), key=lambda operation: operation.method)
    tags = dict.fromkeys(operation.tags[0] for operation in found)
    return {tag: [operation for operation in reversed(found) if operation.tags == [tag]] for tag in tags}


OPERATIONS = operations()


@pytest.fixture
def known(transactional_db, settings, make_dataset, make_model, digits_folder):
    """{field: a value with which a request gets far}; random ones alone are refused at the first field."""
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [digits_folder]
    dataset = with_categories(make_dataset())
    model = make_model(dataset)
    add_snapshot(model, epoch=1, seed=0)
    image = str(digits_folder / "3" / "0.png")
    return {
        "job_id": model.pk,
        "dataset": dataset.pk,
        "dataset_name": "d",
        "model_name": "m",
        "job_name": "j",
        "username": "ada",
        "standard_networks": "lenet",
        "dataset_id": dataset.pk,
        "previous_networks": model.pk,
        "network": model.pk,
        "custom_network": CLASSIFIER,
        "folder_train": str(digits_folder),
        "image_path": image,
        "image_list": image_list(image).decode(),
        "snapshot_epoch": 1,
        "epoch": 1,
    }


@pytest.mark.slow(3)
@pytest.mark.parametrize("wire_format", ["documented", "digits"])
@pytest.mark.parametrize("tag", OPERATIONS)
def test_whatever_is_sent_is_answered_as_the_schema_says(tag, known, settings, wire_format):
    settings.DIGITS_WIRE_FORMAT = wire_format
    for operation in OPERATIONS[tag]:
        attempt(operation, known | ({"job_id": known["dataset"]} if tag == "datasets" else {}))


def attempt(operation, known):
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(map(operation.as_strategy, GenerationMode)), st.data())
    def send(case, data):
        for fields in (case.path_parameters, case.query):
            fields |= {name: known[name] for name in sorted(set(known) & set(fields)) if data.draw(st.booleans())}
        if isinstance(case.body, dict) and data.draw(st.booleans()):
            random = data.draw(st.sets(st.sampled_from(sorted(case.body)), max_size=3)) if case.body else set()
            case.body = known | {name: case.body[name] for name in random}
        case.call_and_validate(checks=CHECKS)

    send()
