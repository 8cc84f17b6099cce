"""More connections than the web worker has room for: which it accepts, closes and serves."""

import contextlib
import os
import socket
from pathlib import Path

import pytest

from tests.support.applications.wsgi_samples import CrampedWorker
from tests.support.server import wait_until
from tests.support.webserver import gunicorn_server, read_until_close

CRAMPED = "tests.support.applications.wsgi_samples.CrampedWorker"
HOLDING = "tests.support.applications.wsgi_samples:holding"
SECONDS = 20
ROOM = CrampedWorker.max_by_address
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
SOMAXCONN = int(Path("/proc/sys/net/core/somaxconn").read_text())  # the kernel's limit of a listener's backlog


@pytest.fixture
def server():
    """The port of a server, and the process of its worker."""
    with gunicorn_server(CRAMPED, HOLDING) as (server, port):
        assert exchange(port, b"GET /up HTTP/1.0\r\n\r\n").endswith(b"0")
        (worker,) = server.children()
        yield port, worker
        worker.resume()


@pytest.fixture
def connect():
    """A function that opens connections, which are closed after the test."""
    with contextlib.ExitStack() as opened:

        def connect(port, sent=b""):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))
            connection.sendall(sent)
            return connection

        yield connect


@pytest.fixture
def hold(server, connect, tmp_path):
    """A function that blocks the server's only thread; it returns a function that releases the thread."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def hold():
        connect(server[0], f"GET /hold?{pipe} HTTP/1.0\r\n\r\n".encode())
        writer = pipe.open("wb")  # returns once the thread reads
        return writer.close

    return hold


def exchange(port, sent):
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(sent)
        return read_until_close(connection)


def test_the_kernel_queues_connections_until_the_loop_accepts_them(server, connect):
    port, worker = server
    worker.suspend()
    waiting = [connect(port, REQUEST) for _ in range(min(1000, SOMAXCONN))]
    worker.resume()
    assert read_until_close(waiting[0]).startswith(b"HTTP/1.0 200 ")


def test_the_connection_that_was_silent_for_longest_is_closed_when_there_are_too_many(server, connect):
    port, _ = server
    first, *others = [connect(port) for _ in range(ROOM)]
    assert exchange(port, REQUEST).endswith(b"1")
    assert read_until_close(first) == b""
    others[-1].sendall(REQUEST)
    assert read_until_close(others[-1]).endswith(b"2")


def test_a_connection_with_unread_data_does_not_count_as_silent(server, connect):
    port, worker = server
    worker.suspend()
    first = connect(port, REQUEST)
    silent = [connect(port) for _ in range(ROOM)]
    worker.resume()
    assert read_until_close(first).endswith(b"1")
    assert read_until_close(silent[0]) == b""


def test_requests_of_clients_that_disconnected_while_waiting_are_not_run(server, connect, hold):
    port, _ = server
    release = hold()
    for _ in range(2):
        connect(port, REQUEST).close()
    release()
    assert exchange(port, REQUEST).endswith(b"1")


def test_a_request_behind_too_many_waiting_ones_is_refused_at_once(server, connect, hold):
    port, _ = server
    release = hold()
    waiting = [connect(port, REQUEST) for _ in range(3)]
    refused = exchange(port, REQUEST)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in refused
    release()
    assert [read_until_close(connection)[-1:] for connection in waiting] == [b"1", b"2", b"3"]


def test_the_limit_of_an_address_is_shared_by_the_processes(connect):
    with gunicorn_server(CRAMPED, HOLDING, processes=2) as (server, port):
        wait_until(lambda: len(server.children()) == 2)
        connections = [connect(port) for _ in range(ROOM + 2)]
        wait_until(lambda: sum(map(is_closed, connections)) == 2)


def is_closed(connection):
    connection.settimeout(0.05)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except TimeoutError:
        return False
