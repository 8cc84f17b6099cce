"""A status that was just answered is answered again without asking Django."""

import itertools

import pytest

from digits_project import polling
from digits_project.polling import Repeated

PATH = "/models/20260101-000000-abcd/status"


@pytest.fixture
def clock(monkeypatch):
    """Time that a test moves by hand."""
    now = [100.0]
    monkeypatch.setattr(polling.time, "monotonic", lambda: now[0])
    return now


class Counting:
    """An application whose every answer is another number."""

    def __init__(self, status="200 OK", headers=()):
        self.numbers = itertools.count(1)
        self.status = status
        self.headers = list(headers)

    def __call__(self, environ, start_response):
        start_response(self.status, self.headers)
        yield str(next(self.numbers)).encode()


def ask(application, path=PATH, method="GET", **headers):
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": ""}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    started = []
    body = b"".join(application(environ, lambda status, headers: started.append(status)))
    return started[0], body


def test_the_same_request_is_answered_again_for_a_moment(clock):
    application = Repeated(Counting())
    assert [ask(application), ask(application)] == [("200 OK", b"1")] * 2
    clock[0] += polling.FRESH_SECONDS + 0.01
    assert ask(application) == ("200 OK", b"2")


@pytest.mark.parametrize("header", ["cookie", "authorization", "host", "accept", "origin"])
def test_another_client_is_asked_for_itself(clock, header):
    application = Repeated(Counting())
    assert ask(application, **{header: "one"}) == ("200 OK", b"1")
    assert ask(application, **{header: "two"}) == ("200 OK", b"2")


@pytest.mark.parametrize("path", ["/index.json", "/models/20260101-000000-abcd.json", f"{PATH}/", "/admin/status"])
def test_nothing_but_a_status_is_kept(clock, path):
    application = Repeated(Counting())
    assert [ask(application, path)[1], ask(application, path)[1]] == [b"1", b"2"]


@pytest.mark.parametrize("answer", [{"status": "401 Unauthorized"}, {"headers": [("Set-Cookie", "a=b")]}])
def test_a_refusal_and_a_cookie_are_not_kept(clock, answer):
    application = Repeated(Counting(**answer))
    assert [ask(application)[1], ask(application)[1]] == [b"1", b"2"]


def test_what_is_kept_has_a_bound(clock, monkeypatch):
    monkeypatch.setattr(polling, "MOST_KEPT", 10)
    application = Repeated(Counting())
    for number in range(50):
        ask(application, cookie=str(number))
    assert len(application._kept) <= 10
