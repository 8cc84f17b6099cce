"""Fixture that the tests of trainings share."""

import pytest

from tests.support.samples.training_samples import write_digits_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """The folder of write_digits_dataset, one for all tests of a module."""
    return write_digits_dataset(tmp_path_factory.mktemp("dataset"))
