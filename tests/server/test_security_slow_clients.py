"""Slow clients of a web server with one thread: other clients do not wait for them."""

import contextlib
import hashlib
import http.client
import os
import socket

import pytest

from digits_project.common.shared_memory.web_processes import shared
from digits_project.server.incoming_request import IN_MEMORY as SHORT
from digits_project.server.response_writer import Backlog
from tests.support.applications.wsgi_samples import LARGE
from tests.support.server import wait_until
from tests.support.webserver import gunicorn_server, read_until_close

SECONDS = 20  # timeout of a response; each slow client that blocked the thread would add a second
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
APPLICATION = "tests.support.applications.wsgi_samples:digesting"
LARGE_REQUEST = b"GET /large HTTP/1.0\r\n\r\n"


@pytest.fixture(scope="module")
def hasty():
    with gunicorn_server("tests.support.applications.wsgi_samples.HastyWorker", APPLICATION) as started:
        yield started


@pytest.fixture(scope="module")
def lenient_port():
    with gunicorn_server("tests.support.applications.wsgi_samples.LenientWorker", APPLICATION) as (_, port):
        yield port


@pytest.fixture
def port(hasty):
    return hasty[1]


@pytest.fixture
def connect(port):
    """A function that opens connections which send these bytes and then nothing."""
    opened = []

    def connect(number, sent, port=port):
        for _ in range(number):
            opened.append(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))
            opened[-1].sendall(sent)
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


def post(connection, body):
    connection.request("POST", "/", body)
    return connection.getresponse().read().decode()


def fetch(port, body):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        return post(connection, body)


def digest(body):
    return hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("sent", [
    b"", b"P", HEAD, HEAD + b"X: ", HEAD + b"Content-Length: 9\r\n\r\n", HEAD + b"Content-Length: 9\r\n\r\n12345678",
    HEAD + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
])  # fmt: skip
def test_a_client_that_sends_half_a_request_is_disconnected_and_delays_no_other(port, connect, sent):
    slow = connect(50, sent)
    assert fetch(port, b"quick") == digest(b"quick")
    assert read_until_close(slow) in (b"", CONTINUE)


def test_a_client_that_stops_within_a_large_body_is_disconnected(port, connect):
    slow = connect(3, HEAD + b"Content-Length: 1000000\r\n\r\n" + bytes(SHORT))
    assert fetch(port, b"quick") == digest(b"quick")
    assert read_until_close(slow) == b""


def test_a_client_that_does_not_read_is_disconnected_and_its_spooled_response_deleted(port, connect, hasty):
    assert fetch(port, b"quick") == digest(b"quick")
    (worker,) = hasty[0].children()
    before = worker.num_fds()
    slow = connect(1, LARGE_REQUEST)
    assert fetch(port, b"quick") == digest(b"quick")
    wait_until(lambda: worker.num_fds() <= before, SECONDS)
    assert len(read_until_close(slow)) < LARGE


def test_unread_responses_wait_without_a_thread_and_arrive_whole(lenient_port, connect):
    slow = [connect(1, LARGE_REQUEST, lenient_port) for _ in range(3)]
    assert fetch(lenient_port, b"quick") == digest(b"quick")
    assert all(len(connection.recv(1)) == 1 for connection in slow)
    assert fetch(lenient_port, b"quick") == digest(b"quick")
    assert [len(read_until_close(connection)) > LARGE for connection in slow] == [True] * 3


def test_the_slowest_of_too_many_slow_clients_is_disconnected(lenient_port, connect):
    slow = [connect(1, LARGE_REQUEST, lenient_port) for _ in range(4)]
    assert fetch(lenient_port, b"quick") == digest(b"quick")
    assert sorted(len(read_until_close(connection)) > LARGE for connection in slow) == [False, True, True, True]


def test_spooling_stops_at_its_limit_of_disk_space():
    with contextlib.closing(Backlog()) as backlog:
        backlog.add(b"some")
        shared().hold("spooled responses", 1 << 62)
        with pytest.raises(ConnectionResetError):
            backlog.add(b"more")


def test_clients_that_do_not_close_their_connection_delay_no_other(port, connect):
    connect(50, b"GET / HTTP/1.0\r\n\r\n")
    assert fetch(port, b"quick") == digest(b"quick")


@pytest.mark.parametrize("size", [1, SHORT - 1, SHORT + 1, 20 << 20])
def test_a_body_arrives_whole_with_and_without_100_continue(port, connect, size):
    body = os.urandom(size)
    assert fetch(port, body) == digest(body)
    expecting = connect(1, HEAD + f"Expect: 100-continue\r\nContent-Length: {size}\r\n\r\n".encode())
    assert expecting.recv(len(CONTINUE)) == CONTINUE
    expecting.sendall(body)
    assert read_until_close(expecting).endswith(digest(body).encode())


def test_a_request_can_arrive_byte_by_byte(port, connect):
    slow = connect(1, b"")
    for byte in HEAD + b"Content-Length: 3\r\n\r\nabc":
        slow.sendall(bytes([byte]))
    assert read_until_close(slow).endswith(digest(b"abc").encode())


def test_a_connection_stays_open_for_the_next_request(port):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        assert post(connection, b"one") == digest(b"one")
        first_socket = connection.sock
        assert post(connection, b"two") == digest(b"two")
        assert connection.sock is first_socket


def test_a_large_response_reaches_a_reading_client_whole(connect):
    assert len(read_until_close(connect(1, b"GET /large HTTP/1.0\r\n\r\n"))) > LARGE
