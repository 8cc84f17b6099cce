"""A status that was just answered is answered again as it was sent, without a thread."""

import contextlib
import socket
from types import SimpleNamespace

import pytest

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
    """Time that a test moves by hand."""
    now = [100.0]
    monkeypatch.setattr(poll_cache.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("path", ["/jobs/2026-a/status", "//datasets/1/status.json", "/lab/digits/models/1/status?a=b"])
def test_a_question_for_a_status_is_a_poll(path):
    assert is_poll(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())


@pytest.mark.parametrize(
    "path", ["/index.json", "/models/1.json", "/models/1/status/", "/admin/status", "/?/models/1/status"]
)
def test_nothing_else_is(path):
    assert not is_poll(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())


@pytest.mark.parametrize("request_", [
    POLL[:-1], POLL + b"G", POLL * 2, POLL.replace(b"GET", b"POST"), POLL.replace(b"/1.1", b"/1.0"),
    HEAD + b"Content-Length: 0\r\n\r\n", HEAD + b"transfer-encoding: chunked\r\n\r\n", HEAD + b"Expect: 100\r\n\r\n",
    HEAD + b"Upgrade: h2c\r\n\r\n", HEAD + b"X: %s\r\n\r\n" % bytes(5000),
])  # fmt: skip
def test_what_more_or_less_may_belong_to_is_none(request_):
    assert not is_poll(request_)


def test_an_answer_is_repeated_for_a_moment(clock):
    repeats = ResponseCache()
    repeats.keep("10.0.0.1", POLL, OK)
    assert repeats.find("10.0.0.1", POLL) == OK
    clock[0] += poll_cache.FRESH_SECONDS + 0.01
    assert repeats.find("10.0.0.1", POLL) is None


def test_only_to_the_same_client_for_the_same_request():
    repeats = ResponseCache()
    repeats.keep("10.0.0.1", POLL, OK)
    assert repeats.find("10.0.0.2", POLL) is None
    assert repeats.find("10.0.0.1", HEAD + b"Cookie: a=b\r\n\r\n") is None


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 401 Unauthorized\r\n\r\n", b"HTTP/1.1 200 OK\r\nset-Cookie: a=b\r\n\r\n", OK + bytes(20_000), b"",
])  # fmt: skip
def test_a_refusal_a_cookie_and_a_long_answer_are_not_repeated(answer):
    repeats = ResponseCache()
    repeats.keep("10.0.0.1", POLL, answer)
    assert repeats.find("10.0.0.1", POLL) is None


def test_what_is_kept_has_a_bound(monkeypatch):
    monkeypatch.setattr(poll_cache, "MAX_KEPT", 10)
    repeats = ResponseCache()
    for number in range(50):
        repeats.keep("10.0.0.1", HEAD + b"Cookie: %d\r\n\r\n" % number, OK)
    assert len(repeats._kept) <= 10


def test_an_answer_that_is_not_taken_at_once_ends_the_connection_and_is_never_left_out():
    repeats = ResponseCache()
    repeats.keep("", POLL, OK)
    server, client = socket.socketpair()
    with server, client:
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            send_without_end(server, bytes(1 << 16))
        client.sendall(POLL)
        client.settimeout(20)
        conn = SimpleNamespace(sock=server, address="")
        assert WebWorker._repeat(SimpleNamespace(alive=True, repeats=repeats), conn, POLL)
        assert list(iter(lambda: client.recv(1 << 20), b""))


@pytest.fixture(scope="module")
def port():
    """Of a server that numbers its answers, and repeats them for so long as a test may take."""
    with gunicorn_server(
        "tests.support.applications.wsgi_samples.LongCacheWorker",
        "tests.support.applications.wsgi_samples:numbering",
        threads=2,
    ) as (_, port):
        yield port


@contextlib.contextmanager
def connected(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection, connection.makefile("rb") as answers:
        yield connection, answers


def ask(connection, answers, request):
    """The number of the answer."""
    connection.sendall(request)
    return read(answers)


def read(answers):
    lines = list(iter(answers.readline, b"\r\n"))
    (length,) = [int(line.split()[1]) for line in lines if line.lower().startswith(b"content-length")]
    return int(answers.read(length))


def poll(name):
    return POLL.replace(b"Host: x", b"Host: " + name)


def repeated(connection, answers, request):
    """The number that is told again and again. An answer is kept just after it was sent: the next may miss it."""
    wait_until(lambda: ask(connection, answers, request) == ask(connection, answers, request), 20)
    return ask(connection, answers, request)


def test_every_connection_of_a_client_gets_the_same_answer(port):
    with connected(port) as first, connected(port) as second:
        number = repeated(*first, poll(b"same"))
        assert [ask(*second, poll(b"same")), ask(*second, poll(b"same"))] == [number, number]
        assert ask(*second, poll(b"other")) > number


def test_other_requests_go_on_between_polls(port):
    with connected(port) as server:
        number = repeated(*server, poll(b"between"))
        assert ask(*server, b"GET /index.json HTTP/1.1\r\nHost: x\r\n\r\n") > number
        assert ask(*server, poll(b"between")) == number


def test_polls_that_are_sent_at_once_do_no_harm(port):
    with connected(port) as (connection, answers):
        repeated(connection, answers, poll(b"at-once"))
        connection.sendall(poll(b"at-once") * 3)
        assert read(answers)
        with connected(port) as again:
            assert repeated(*again, poll(b"at-once"))


def test_a_body_behind_a_poll_is_not_taken_for_a_request(port):
    head = poll(b"body").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    with connected(port) as (connection, answers):
        numbers = [ask(connection, answers, head + b"3\r\nabc\r\n0\r\n\r\n") for _ in range(3)]
    assert len(set(numbers)) == 3


def test_a_poll_that_arrives_in_pieces_is_answered_too(port):
    with connected(port) as (connection, answers):
        number = repeated(connection, answers, poll(b"pieces"))
        for byte in poll(b"pieces"):
            connection.sendall(bytes([byte]))
        assert read(answers) == number


def test_who_polls_and_does_not_listen_is_cut_off(port):
    with connected(port) as (connection, answers):
        repeated(connection, answers, poll(b"deaf"))
        connection.setblocking(False)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            insist(connection, poll(b"deaf"))
    with connected(port) as server:
        assert ask(*server, poll(b"deaf"))


def send_without_end(connection, data):
    while True:
        connection.send(data)


def insist(connection, request):
    while True:
        with contextlib.suppress(BlockingIOError):
            connection.sendall(request)
