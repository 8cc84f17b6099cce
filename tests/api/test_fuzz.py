"""Random requests to every operation of the schema, valid and invalid: no server error, responses as in the schema.

`make test` tries a few examples of each operation, `make fuzz` many (FUZZ_EXAMPLES). The examples are the same in every
run, so that a failure can be reproduced.
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


def application(environ, start_response):
    """The WSGI application; its response is read completely and closed, as a server does."""
    with contextlib.closing(get_wsgi_application()(environ, start_response)) as response:
        return [b"".join(response)]


def operations():
    """{tag: its operations}; operations with the method DELETE come last."""
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(SchemaGenerator().get_schema(public=True))))
    schema.app = application
    found = sorted((found.ok() for found in schema.get_all_operations()), key=lambda operation: operation.method)
    tags = dict.fromkeys(operation.tags[0] for operation in found)
    return {tag: [operation for operation in reversed(found) if operation.tags == [tag]] for tag in tags}


OPERATIONS = operations()


@pytest.fixture
def valid_values(transactional_db, open_server, make_dataset, make_model, digits_folder):
    """{field: a valid value}; with random values alone, a request would be rejected at the first field."""
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
def test_responses_to_random_requests_conform_to_the_schema(tag, valid_values, settings, wire_format):
    settings.DIGITS_WIRE_FORMAT = wire_format
    for operation in OPERATIONS[tag]:
        send_examples(operation, valid_values | ({"job_id": valid_values["dataset"]} if tag == "datasets" else {}))


def send_examples(operation, valid_values):
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
            fields |= {
                name: valid_values[name] for name in sorted(set(valid_values) & set(fields)) if data.draw(st.booleans())
            }
        if isinstance(case.body, dict) and data.draw(st.booleans()):
            random = data.draw(st.sets(st.sampled_from(sorted(case.body)), max_size=3)) if case.body else set()
            case.body = valid_values | {name: case.body[name] for name in random}
        case.call_and_validate(checks=CHECKS)

    send()
