"""More connections than the web worker has room for: which of them it takes, cuts and works for."""

import contextlib
import os
import socket
from pathlib import Path

import pytest

from tests.support.applications.wsgi_samples import CrampedWorker
from tests.support.webserver import gunicorn_server, read_until_close

SECONDS = 20
ROOM = CrampedWorker.max_by_address
ASKED = b"GET / HTTP/1.0\r\n\r\n"
SOMAXCONN = int(Path("/proc/sys/net/core/somaxconn").read_text())  # the most that the kernel lets wait


@pytest.fixture
def server():
    """Its port and its worker's process."""
    with gunicorn_server(
        "tests.support.applications.wsgi_samples.CrampedWorker", "tests.support.applications.wsgi_samples:holding"
    ) as (server, port):
        assert exchange(port, b"GET /up HTTP/1.0\r\n\r\n").endswith(b"0")
        (worker,) = server.children()
        yield port, worker
        worker.resume()


@pytest.fixture
def connect():
    """Opens connections that are closed after the test."""
    with contextlib.ExitStack() as opened:

        def connect(port, sent=b""):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))
            connection.sendall(sent)
            return connection

        yield connect


@pytest.fixture
def hold(server, connect, tmp_path):
    """Keeps the only thread busy; the call that it returns lets go of it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def hold():
        connect(server[0], f"GET /hold?{pipe} HTTP/1.0\r\n\r\n".encode())
        writer = pipe.open("wb")  # once the thread reads
        return writer.close

    return hold


def exchange(port, sent):
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(sent)
        return read_until_close(connection)


def test_the_kernel_keeps_a_crowds_connections_until_the_loop_comes_to_them(server, connect):
    port, worker = server
    worker.suspend()
    waiting = [connect(port, ASKED) for _ in range(min(1000, SOMAXCONN))]
    worker.resume()
    assert read_until_close(waiting[0]).startswith(b"HTTP/1.0 200 ")


def test_of_too_many_connections_the_one_that_was_silent_for_longest_is_cut(server, connect):
    port, _ = server
    first, *others = [connect(port) for _ in range(ROOM)]
    assert exchange(port, ASKED).endswith(b"1")
    assert read_until_close(first) == b""
    others[-1].sendall(ASKED)
    assert read_until_close(others[-1]).endswith(b"2")


def test_a_connection_is_not_silent_because_the_loop_has_not_read_it_yet(server, connect):
    port, worker = server
    worker.suspend()
    first = connect(port, ASKED)
    silent = [connect(port) for _ in range(ROOM)]
    worker.resume()
    assert read_until_close(first).endswith(b"1")
    assert read_until_close(silent[0]) == b""


def test_nobody_works_for_clients_that_gave_up_while_they_waited(server, connect, hold):
    port, _ = server
    let_go = hold()
    for _ in range(2):
        connect(port, ASKED).close()
    let_go()
    assert exchange(port, ASKED).endswith(b"1")


def test_a_request_that_too_many_wait_before_is_refused_at_once(server, connect, hold):
    port, _ = server
    let_go = hold()
    waiting = [connect(port, ASKED) for _ in range(3)]
    refused = exchange(port, ASKED)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in refused
    let_go()
    assert [read_until_close(connection)[-1:] for connection in waiting] == [b"1", b"2", b"3"]
