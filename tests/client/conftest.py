"""Fixtures for the Python client: clients of the application in this process, without a web server."""

import contextlib

import httpx
import pytest
from django.core.wsgi import get_wsgi_application

from digits_client import Server


def application(environ, start_response):
    """The product's application, for httpx, which does not call close() of a response."""
    with contextlib.closing(get_wsgi_application()(environ, start_response)) as response:
        return [b"".join(response)]


@pytest.fixture
def connected():
    """A function that makes a Server whose requests go to the application of this process."""
    with httpx.Client(transport=httpx.WSGITransport(application)) as http:
        yield lambda token=None: Server("http://testserver", token, http=http)


@pytest.fixture
def server(connected, open_server, transactional_db):
    """A Server without accounts."""
    return connected()
