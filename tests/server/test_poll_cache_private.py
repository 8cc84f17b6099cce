"""On a private server nobody gets the answer kept for somebody else's poll: a real gunicorn, one kept connection."""

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
UNKNOWN = 200, {"error": "Job not found."}  # what clients that poll expect for an id that is none


@pytest.fixture(scope="module")
def port(django_db_setup):
    """Of a private server that repeats an answer for so long as a test may take."""
    with digits_server("tests.support.applications.wsgi_samples.LongCacheWorker", DIGITS_PRIVATE="on") as (_, port):
        yield port


@pytest.fixture
def dataset(make_dataset):
    dataset = make_dataset()  # ada's
    type(dataset).objects.update(status=Status.RUNNING, progress=0.5)
    return dataset


@pytest.fixture(params=["token", "session"])
def headers(request):
    """The credentials of ada, who owns the job, and of ben, to whom it is not shown."""
    made = {"token": token_header, "session": session_of}[request.param]
    return {name: made(make_account(name, "viewer")) for name in ("ada", "ben")}


def session_of(user):
    client = Client()
    client.force_login(user)
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}


@contextlib.contextmanager
def connected(port):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        yield connection


def ask(connection, path, headers):
    """(status, what the answer says)."""
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def kept_for_ada(connection, path, dataset, headers):
    """Let the server keep ada's answer; the job goes on, and the answer stays what it was."""
    changed = iter(range(1, 1000))

    def is_repeated():
        before = ask(connection, path, headers)
        type(dataset).objects.update(progress=next(changed) / 1000)
        return ask(connection, path, headers) == before and before

    return wait_until(is_repeated, 60)


@pytest.mark.parametrize("path", ["/jobs/{}/status", "/datasets/{}/status.json?a=b"])
def test_a_kept_answer_is_for_those_who_sent_the_same_credentials(port, dataset, headers, path):
    path = path.format(dataset.pk)
    with connected(port) as connection:
        hers = kept_for_ada(connection, path, dataset, headers["ada"])
        assert (hers[0], hers[1]["status"]) == (200, "Running")
        for _ in range(3):
            assert ask(connection, path, headers["ben"]) == UNKNOWN
            assert ask(connection, path, {})[0] == 401
            assert ask(connection, path, headers["ada"]) == hers
        with connected(port) as another:
            assert ask(another, path, headers["ben"]) == UNKNOWN
            assert ask(another, path, headers["ada"]) == hers


@pytest.mark.parametrize("more", ["Cookie: a=b", "Accept: application/json", "X-Forwarded-For: 10.0.0.1"])
def test_a_request_that_differs_in_anything_is_answered_anew(port, dataset, headers, more):
    path, (name, _, value) = f"/jobs/{dataset.pk}/status", more.partition(": ")
    with connected(port) as connection:
        hers = kept_for_ada(connection, path, dataset, headers["ada"])
        assert ask(connection, path, headers["ada"] | {name: f"{headers['ada'].get(name, '')}; {value}"}) != hers
        assert ask(connection, path, headers["ada"]) == hers
