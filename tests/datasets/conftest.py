"""Fixtures for the tests of datasets."""

from pathlib import Path

import pytest

from datasets.models import Dataset
from datasets.tasks import build_dataset


@pytest.fixture
def open_server(open_server, settings):
    """A server without accounts; jobs can read every file of the machine."""
    settings.DIGITS_DATA_ROOTS = [Path("/")]


@pytest.fixture
def folder_form(digits_folder):
    """A function that returns a valid form for a folder of digits; arguments change fields, None removes one."""

    def folder_form(**fields):
        valid = {"dataset_name": "digits", "folder_train": str(digits_folder), "resize_width": 28, "resize_height": 28}
        return {name: value for name, value in (valid | fields).items() if value is not None}

    return folder_form


@pytest.fixture
def build_json(client):
    """A function that builds the only dataset and returns its JSON."""

    def build_json():
        dataset = Dataset.objects.get()
        build_dataset(dataset.pk)
        return client.get(f"/datasets/{dataset.pk}.json").json()

    return build_json
