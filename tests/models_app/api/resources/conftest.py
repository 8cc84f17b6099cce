"""Fixtures for the tests of the resources."""

import pytest


@pytest.fixture
def open_server(open_server, settings, digits_folder):
    """A server without accounts; jobs can read the digits."""
    settings.DIGITS_DATA_ROOTS = [digits_folder]
