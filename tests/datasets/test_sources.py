"""The registry of dataset sources: what is derived from a source, and which sources are rejected."""

import json
import subprocess
import sys

import pytest
from django.core.exceptions import ValidationError

from datasets.api.serializers import ClassificationDatasetForm
from datasets.kinds import CLASSIFICATION, GENERIC, KINDS
from datasets.models import Dataset
from datasets.sources import FOLDER, PREBUILT, SOURCES, TEXTFILE, register, sources_of
from datasets.sources.prebuilt_source import PrebuiltMethod


@pytest.mark.slow(2)
def test_a_registered_source_appears_in_forms_columns_command_page_and_schema():
    program = [sys.executable, "-m", "tests.support.declarations.added_source"]
    found = json.loads(subprocess.run(program, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert found == {
        "forms": [True, False],
        "method": ["folder", "textfile", "shelf"],
        "described": True,
        "missing": {"shelf_number": ["This field is required."]},
        "wrong": {"shelf_number": ["Ensure this value is greater than or equal to 1."]},
        "wrong_together": {"shelf_number": ["The shelf 13 is empty."]},
        "validated": {"method": "shelf", "shelf_number": 7, "folder": "/shelves/7"},
        "option": "2",
        "path_option": True,
        "command_help": True,
        "widgets": {"shelf_number": "text", "shelf_plan": "path"},
        "page": "method=shelf",
        "missing_columns": ["Add field shelf_number to dataset", "Add field shelf_plan to dataset"],
        "schema": {"ClassificationDatasetForm": {"type": "integer", "minimum": 1, "description": "Which shelf."}},
    }


def test_each_kind_of_dataset_has_its_sources():
    assert {kind: sources_of(kind) for kind in KINDS} == {CLASSIFICATION: [FOLDER, TEXTFILE], GENERIC: [PREBUILT]}


def test_columns_and_fields_of_sources_have_unique_names():
    names = [name for source in SOURCES.values() for name in {*source.columns, *source.field_names}]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "name, message",
    [("prebuilt", "a source 'prebuilt' is registered already"), ("databases", "'databases' is longer than the column")],
)
def test_a_source_with_a_duplicate_or_too_long_name_is_rejected(name, message):
    source = PrebuiltMethod()
    source.name = name
    with pytest.raises(ValueError, match=message):
        register(source)
    assert SOURCES["prebuilt"] is PREBUILT


def test_a_dataset_row_with_an_unknown_source_is_rejected():
    with pytest.raises(ValidationError) as error:
        Dataset(name="d", method="shelf").full_clean(exclude=["job_id"], validate_unique=False)
    assert error.value.message_dict == {"method": ["Value 'shelf' is not a valid choice."]}


def test_a_form_with_an_unknown_method_validates_the_fields_of_the_default_source():
    shares = {"folder_pct_val": "60", "folder_pct_test": "40"}
    form = ClassificationDatasetForm(data={"dataset_name": "d", "method": "s3", **shares})
    assert not form.is_valid()
    assert list(form.errors) == ["folder_pct_val", "method", "folder_train"]
