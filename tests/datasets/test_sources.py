"""Sources of datasets from their registration to forms, columns and the engine."""

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


def test_a_registered_source_is_found_everywhere():
    program = [sys.executable, "-m", "tests.support.added_source"]
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


def test_each_kind_has_its_sources():
    assert {kind: sources_of(kind) for kind in KINDS} == {CLASSIFICATION: [FOLDER, TEXTFILE], GENERIC: [PREBUILT]}


def test_no_two_sources_have_a_column_or_a_field_of_one_name():
    names = [name for source in SOURCES.values() for name in {*source.columns, *source.field_names}]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "name, message",
    [("prebuilt", "a source 'prebuilt' is registered already"), ("databases", "'databases' is longer than the column")],
)
def test_a_name_that_is_taken_or_too_long_is_refused(name, message):
    source = PrebuiltMethod()
    source.name = name
    with pytest.raises(ValueError, match=message):
        register(source)
    assert SOURCES["prebuilt"] is PREBUILT


def test_a_row_of_an_unknown_source_is_refused():
    with pytest.raises(ValidationError) as refused:
        Dataset(name="d", method="shelf").full_clean(exclude=["job_id"], validate_unique=False)
    assert refused.value.message_dict == {"method": ["Value 'shelf' is not a valid choice."]}


def test_with_an_unknown_method_the_fields_of_the_default_source_are_checked():
    shares = {"folder_pct_val": "60", "folder_pct_test": "40"}
    form = ClassificationDatasetForm(data={"dataset_name": "d", "method": "s3", **shares})
    assert not form.is_valid()
    assert list(form.errors) == ["folder_pct_val", "method", "folder_train"]
