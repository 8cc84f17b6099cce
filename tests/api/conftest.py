"""Fixtures for the tests of the API."""

import pytest


@pytest.fixture
def open_server(open_server, settings, tmp_path, digits_folder):
    """A server without accounts; jobs can read the digits and the folder of the test."""
    settings.DIGITS_DATA_ROOTS = [tmp_path, digits_folder]
