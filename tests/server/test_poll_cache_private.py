"""The cache of polls on a private server: a cached response is only for requests with the same credentials."""

import contextlib
import http.client
import json

import pytest
from django.conf import settings
from django.test import Client

from digits_project.jobs.models import Status
from tests.support.api_requests import make_account, token_header
from tests.support.server import wait_until
from tests.support.webserver import digits_server

pytestmark = pytest.mark.django_db(transaction=True)
UNKNOWN = 200, {"error": "Job not found."}  # what polling clients expect for an unknown id


@pytest.fixture(scope="module")
def port(django_db_setup):
    """The port of a private server that caches responses for longer than a test takes."""
    with digits_server("tests.support.applications.wsgi_samples.LongCacheWorker", DIGITS_PRIVATE="on") as (_, port):
        yield port


@pytest.fixture
def dataset(make_dataset):
    dataset = make_dataset()  # of ada
    type(dataset).objects.update(status=Status.RUNNING, progress=0.5)
    return dataset


@pytest.fixture(params=["token", "session"])
def headers(request):
    """The credentials of ada, who owns the job, and of ben, who can't see it."""
    credentials_of = {"token": token_header, "session": session_of}[request.param]
    return {name: credentials_of(make_account(name, "viewer")) for name in ("ada", "ben")}


def session_of(user):
    client = Client()
    client.force_login(user)
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}


@contextlib.contextmanager
def connected(port):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        yield connection


def ask(connection, path, headers):
    """(status, parsed JSON) of a GET."""
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def cached_for_ada(connection, path, dataset, headers):
    """Poll as ada until the response is cached, which shows in that it ignores the job's progress; return it."""
    numbers = iter(range(1, 1000))

    def is_cached():
        before = ask(connection, path, headers)
        type(dataset).objects.update(progress=next(numbers) / 1000)
        return ask(connection, path, headers) == before and before

    return wait_until(is_cached, 60)


@pytest.mark.parametrize("path", ["/jobs/{}/status", "/datasets/{}/status.json?a=b"])
def test_a_cached_response_is_only_for_the_same_credentials(port, dataset, headers, path):
    path = path.format(dataset.pk)
    with connected(port) as connection:
        cached = cached_for_ada(connection, path, dataset, headers["ada"])
        assert (cached[0], cached[1]["status"]) == (200, "Running")
        for _ in range(3):
            assert ask(connection, path, headers["ben"]) == UNKNOWN
            assert ask(connection, path, {})[0] == 401
            assert ask(connection, path, headers["ada"]) == cached
        with connected(port) as another:
            assert ask(another, path, headers["ben"]) == UNKNOWN
            assert ask(another, path, headers["ada"]) == cached


@pytest.mark.parametrize("more", ["Cookie: a=b", "Accept: application/json", "X-Forwarded-For: 10.0.0.1"])
def test_a_request_with_another_header_is_not_served_from_the_cache(port, dataset, headers, more):
    path, (name, _, value) = f"/jobs/{dataset.pk}/status", more.partition(": ")
    with connected(port) as connection:
        cached = cached_for_ada(connection, path, dataset, headers["ada"])
        assert ask(connection, path, headers["ada"] | {name: f"{headers['ada'].get(name, '')}; {value}"}) != cached
        assert ask(connection, path, headers["ada"]) == cached
