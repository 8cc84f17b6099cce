"""The memory of responses: it is freed when they are sent, without the help of the garbage collector."""

import gc
import weakref

import pytest
from django.test import RequestFactory
from django.test.client import ClientHandler

PATHS = [("/index.json", 200), ("/index.json?page=x", 400), ("/models/20260101-000000-0000.json", 404)]


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.django_db
@pytest.mark.parametrize("path, status", PATHS)
def test_a_response_is_freed_as_soon_as_it_is_sent(path, status, without_collector, settings):
    settings.DIGITS_AUTH = "open"
    response = ClientHandler()(RequestFactory().get(path).environ)
    assert response.status_code == status
    freed = weakref.ref(response)
    del response
    assert freed() is None
