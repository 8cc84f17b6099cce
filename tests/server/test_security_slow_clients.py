"""Clients that take their time, against a web server of one thread: nobody else waits for them."""

import contextlib
import hashlib
import http.client
import os
import socket

import pytest

from digits_project.server.incoming_request import IN_MEMORY as SHORT
from digits_project.server.response_writer import Backlog
from tests.support.applications.wsgi_samples import LARGE
from tests.support.server import wait_until
from tests.support.webserver import gunicorn_server, read_until_close

SECONDS = 20  # that an answer may take; each slow client alone would take one more
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
APPLICATION = "tests.support.applications.wsgi_samples:digesting"
ASKED = b"GET /large HTTP/1.0\r\n\r\n"


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
    """Connections that send this much and then nothing."""
    opened = []

    def connect(number, sent, port=port):
        for _ in range(number):
            opened.append(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))
            opened[-1].sendall(sent)
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


def ask(connection, body):
    connection.request("POST", "/", body)
    return connection.getresponse().read().decode()


def answer(port, body):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        return ask(connection, body)


def digest(body):
    return hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("sent", [
    b"", b"P", HEAD, HEAD + b"X: ", HEAD + b"Content-Length: 9\r\n\r\n", HEAD + b"Content-Length: 9\r\n\r\n12345678",
    HEAD + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
])  # fmt: skip
def test_who_sends_half_a_request_is_waited_for_by_nobody_and_cut_off(port, connect, sent):
    slow = connect(50, sent)
    assert answer(port, b"quick") == digest(b"quick")
    assert read_until_close(slow) in (b"", CONTINUE)


def test_a_large_body_that_stops_is_cut_off(port, connect):
    slow = connect(3, HEAD + b"Content-Length: 1000000\r\n\r\n" + bytes(SHORT))
    assert answer(port, b"quick") == digest(b"quick")
    assert read_until_close(slow) == b""


def test_who_does_not_take_his_answer_is_cut_off_and_what_was_put_by_for_him_is_gone(port, connect, hasty):
    assert answer(port, b"quick") == digest(b"quick")
    (worker,) = hasty[0].children()
    before = worker.num_fds()
    slow = connect(1, ASKED)
    assert answer(port, b"quick") == digest(b"quick")
    wait_until(lambda: worker.num_fds() <= before, SECONDS)
    assert len(read_until_close(slow)) < LARGE


def test_answers_that_are_not_taken_wait_without_a_thread_and_come_whole(lenient_port, connect):
    slow = [connect(1, ASKED, lenient_port) for _ in range(3)]
    assert answer(lenient_port, b"quick") == digest(b"quick")
    assert all(len(connection.recv(1)) == 1 for connection in slow)
    assert answer(lenient_port, b"quick") == digest(b"quick")
    assert [len(read_until_close(connection)) > LARGE for connection in slow] == [True] * 3


def test_of_too_many_slow_clients_the_slowest_is_cut_off(lenient_port, connect):
    slow = [connect(1, ASKED, lenient_port) for _ in range(4)]
    assert answer(lenient_port, b"quick") == digest(b"quick")
    assert sorted(len(read_until_close(connection)) > LARGE for connection in slow) == [False, True, True, True]


def test_what_is_put_by_leaves_room_on_the_disk(monkeypatch):
    with contextlib.closing(Backlog()) as backlog:
        backlog.add(b"some")
        monkeypatch.setattr(Backlog, "_total", 1 << 62)
        with pytest.raises(ConnectionResetError):
            backlog.add(b"more")


def test_who_does_not_hang_up_holds_nobody_up(port, connect):
    connect(50, b"GET / HTTP/1.0\r\n\r\n")
    assert answer(port, b"quick") == digest(b"quick")


@pytest.mark.parametrize("size", [1, SHORT - 1, SHORT + 1, 20 << 20])
def test_a_body_arrives_whole_with_and_without_asking_first(port, connect, size):
    body = os.urandom(size)
    assert answer(port, body) == digest(body)
    asking = connect(1, HEAD + f"Expect: 100-continue\r\nContent-Length: {size}\r\n\r\n".encode())
    assert asking.recv(len(CONTINUE)) == CONTINUE
    asking.sendall(body)
    assert read_until_close(asking).endswith(digest(body).encode())


def test_a_request_may_come_byte_by_byte(port, connect):
    slow = connect(1, b"")
    for byte in HEAD + b"Content-Length: 3\r\n\r\nabc":
        slow.sendall(bytes([byte]))
    assert read_until_close(slow).endswith(digest(b"abc").encode())


def test_a_connection_is_kept_for_the_next_request(port):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        assert ask(connection, b"one") == digest(b"one")
        kept = connection.sock
        assert ask(connection, b"two") == digest(b"two")
        assert connection.sock is kept


def test_a_large_answer_is_taken_whole_by_who_takes_it(connect):
    assert len(read_until_close(connect(1, b"GET /large HTTP/1.0\r\n\r\n"))) > LARGE
