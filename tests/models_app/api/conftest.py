"""Fixtures that the tests of the model routes share."""

import pytest


@pytest.fixture
def form(make_dataset):
    """A function that returns a valid form with further fields."""

    def form(**fields):
        return {"model_name": "net", "dataset": make_dataset().pk, "standard_networks": "lenet"} | fields

    return form
