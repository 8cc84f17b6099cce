"""The cache of responses to polls: a repeated request for a status gets the same response, without a thread."""

import contextlib
import socket
from types import SimpleNamespace

import pytest

from digits_project.common.shared_memory.web_processes import shared
from digits_project.server import poll_cache
from digits_project.server.gunicorn_worker import WebWorker
from digits_project.server.poll_cache import ResponseCache, is_poll
from tests.support.server import wait_until
from tests.support.webserver import gunicorn_server

HEAD = b"GET /models/20260101-000000-abcd/status HTTP/1.1\r\nHost: x\r\n"
POLL = HEAD + b"\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr(poll_cache.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("path", ["/jobs/2026-a/status", "//datasets/1/status.json", "/lab/digits/models/1/status?a=b"])
def test_a_request_for_a_status_is_a_poll(path):
    assert is_poll(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())


@pytest.mark.parametrize(
    "path", ["/index.json", "/models/1.json", "/models/1/status/", "/admin/status", "/?/models/1/status"]
)
def test_a_request_for_another_path_is_no_poll(path):
    assert not is_poll(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())


@pytest.mark.parametrize("request_", [
    POLL[:-1], POLL + b"G", POLL * 2, POLL.replace(b"GET", b"POST"), POLL.replace(b"/1.1", b"/1.0"),
    HEAD + b"Content-Length: 0\r\n\r\n", HEAD + b"transfer-encoding: chunked\r\n\r\n", HEAD + b"Expect: 100\r\n\r\n",
    HEAD + b"Upgrade: h2c\r\n\r\n", HEAD + b"X: %s\r\n\r\n" % bytes(5000),
])  # fmt: skip
def test_an_incomplete_or_unusual_request_is_no_poll(request_):
    assert not is_poll(request_)


def test_a_cached_response_is_fresh_for_a_short_time(clock):
    cache = ResponseCache(shared().counters)
    cache.keep("10.0.0.1", POLL, OK, cache.changes("10.0.0.1", POLL))
    assert cache.find("10.0.0.1", POLL) == OK
    clock[0] += poll_cache.FRESH_SECONDS + 0.01
    assert cache.find("10.0.0.1", POLL) is None


def test_a_cached_response_is_only_for_the_same_client_and_request():
    cache = ResponseCache(shared().counters)
    cache.keep("10.0.0.1", POLL, OK, cache.changes("10.0.0.1", POLL))
    assert cache.find("10.0.0.2", POLL) is None
    assert cache.find("10.0.0.1", HEAD + b"Cookie: a=b\r\n\r\n") is None


def test_a_response_is_no_longer_found_when_another_process_has_a_new_one(clock):
    one, other = (ResponseCache(shared().counters) for _ in range(2))
    before = other.changes("10.0.0.1", POLL)
    one.keep("10.0.0.1", POLL, OK + b"running", before)
    other.keep("10.0.0.1", POLL, OK + b"done", other.changes("10.0.0.1", POLL))
    assert one.find("10.0.0.1", POLL) is None
    assert other.find("10.0.0.1", POLL) == OK + b"done"


def test_a_response_that_was_overtaken_while_it_was_made_is_not_found(clock):
    one, other = (ResponseCache(shared().counters) for _ in range(2))
    before = one.changes("10.0.0.1", POLL)
    other.keep("10.0.0.1", POLL, OK + b"done", other.changes("10.0.0.1", POLL))
    one.keep("10.0.0.1", POLL, OK + b"running", before)
    assert one.find("10.0.0.1", POLL) is None


def test_processes_with_the_same_response_all_keep_it(clock):
    one, other = (ResponseCache(shared().counters) for _ in range(2))
    for cache in (one, other, one, other):
        cache.keep("10.0.0.1", POLL, OK + b"done", cache.changes("10.0.0.1", POLL))
    assert one.find("10.0.0.1", POLL) == other.find("10.0.0.1", POLL) == OK + b"done"


@pytest.mark.parametrize("response", [
    b"HTTP/1.1 401 Unauthorized\r\n\r\n", b"HTTP/1.1 200 OK\r\nset-Cookie: a=b\r\n\r\n", OK + bytes(20_000), b"",
])  # fmt: skip
def test_errors_cookies_and_long_responses_are_not_cached(response):
    cache = ResponseCache(shared().counters)
    cache.keep("10.0.0.1", POLL, response, cache.changes("10.0.0.1", POLL))
    assert cache.find("10.0.0.1", POLL) is None


def test_the_number_of_cached_responses_is_limited(monkeypatch):
    monkeypatch.setattr(poll_cache, "MAX_KEPT", 10)
    cache = ResponseCache(shared().counters)
    for number in range(50):
        poll = HEAD + b"Cookie: %d\r\n\r\n" % number
        cache.keep("10.0.0.1", poll, OK, cache.changes("10.0.0.1", poll))
    assert len(cache._kept) <= 10


def test_a_cached_response_that_the_client_does_not_read_closes_the_connection():
    cache = ResponseCache(shared().counters)
    cache.keep("", POLL, OK, cache.changes("", POLL))
    server, client = socket.socketpair()
    with server, client:
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            send_forever(server, bytes(1 << 16))
        client.sendall(POLL)
        client.settimeout(20)
        conn = SimpleNamespace(sock=server, address="")
        assert WebWorker._send_cached(SimpleNamespace(alive=True, poll_cache=cache), conn, POLL)
        assert list(iter(lambda: client.recv(1 << 20), b""))


@pytest.fixture(scope="module")
def port():
    """The port of a server that numbers its responses, and caches them for longer than a test takes."""
    with gunicorn_server(
        "tests.support.applications.wsgi_samples.LongCacheWorker",
        "tests.support.applications.wsgi_samples:numbering",
        threads=2,
    ) as (_, port):
        yield port


@contextlib.contextmanager
def connected(port):
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
        connection.makefile("rb") as responses,
    ):
        yield connection, responses


def ask(connection, responses, request):
    """Send a request; return the number in its response."""
    connection.sendall(request)
    return read_number(responses)


def read_number(responses):
    lines = list(iter(responses.readline, b"\r\n"))
    (length,) = [int(line.split()[1]) for line in lines if line.lower().startswith(b"content-length")]
    return int(responses.read(length))


def poll(name):
    return POLL.replace(b"Host: x", b"Host: " + name)


def cached_number(connection, responses, request):
    """Repeat a poll until its response comes from the cache; return the number in it.

    A response is cached just after it was sent, so the next request can still miss it.
    """
    wait_until(lambda: ask(connection, responses, request) == ask(connection, responses, request))
    return ask(connection, responses, request)


def test_every_connection_of_a_client_gets_the_cached_response(port):
    with connected(port) as first, connected(port) as second:
        number = cached_number(*first, poll(b"same"))
        assert [ask(*second, poll(b"same")), ask(*second, poll(b"same"))] == [number, number]
        assert ask(*second, poll(b"other")) > number


def test_other_requests_between_polls_reach_the_application(port):
    with connected(port) as server:
        number = cached_number(*server, poll(b"between"))
        assert ask(*server, b"GET /index.json HTTP/1.1\r\nHost: x\r\n\r\n") > number
        assert ask(*server, poll(b"between")) == number


def test_pipelined_polls_do_not_break_the_cache(port):
    with connected(port) as (connection, responses):
        cached_number(connection, responses, poll(b"at-once"))
        connection.sendall(poll(b"at-once") * 3)
        assert read_number(responses)
        with connected(port) as again:
            assert cached_number(*again, poll(b"at-once"))


def test_a_body_behind_a_poll_is_not_taken_for_a_request(port):
    head = poll(b"body").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    with connected(port) as (connection, responses):
        numbers = [ask(connection, responses, head + b"3\r\nabc\r\n0\r\n\r\n") for _ in range(3)]
    assert len(set(numbers)) == 3


def test_a_poll_that_arrives_in_pieces_gets_the_cached_response(port):
    with connected(port) as (connection, responses):
        number = cached_number(connection, responses, poll(b"pieces"))
        for byte in poll(b"pieces"):
            connection.sendall(bytes([byte]))
        assert read_number(responses) == number


def test_a_client_that_polls_without_reading_is_disconnected(port):
    with connected(port) as (connection, responses):
        cached_number(connection, responses, poll(b"deaf"))
        connection.setblocking(False)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_all_forever(connection, poll(b"deaf"))
    with connected(port) as server:
        assert ask(*server, poll(b"deaf"))


def send_forever(connection, data):
    while True:
        connection.send(data)


def send_all_forever(connection, request):
    while True:
        with contextlib.suppress(BlockingIOError):
            connection.sendall(request)
