"""Two web processes of a host: who accepts a connection, what happens when one dies or hangs, and limits for both."""

import contextlib
import http.client
import json
import os
import time
from pathlib import Path

import psutil
import pytest

from digits_project.accounts.login_throttling import MAX_BY_ACCOUNT
from digits_project.server.incoming_request import IN_MEMORY, Spool
from digits_project.server.response_writer import Backlog
from tests.support.api_requests import make_account, token_header
from tests.support.server import wait_until
from tests.support.webserver import digits_server, first_of_two, forked, gunicorn_server

pytestmark = pytest.mark.django_db(transaction=True)
WORKER = "digits_project.server.gunicorn_worker.WebWorker"
PID = "tests.support.applications.wsgi_samples:naming_its_process"
SECONDS = 30
CLASSIFY = "/models/images/classification/classify_one.json"
UPLOAD = "/datasets/images/classification.json"


@pytest.fixture
def opened():
    """Servers and connections, which are closed after the test."""
    with contextlib.ExitStack() as opened:
        yield opened


@pytest.fixture
def two(opened):
    """The first process of a server, whose two forks respond with their pid; and a function that connects."""
    server, port = opened.enter_context(gunicorn_server(WORKER, PID, threads=2, processes=2))
    wait_until(lambda: len({pid_from(connect_to(port, opened)) for _ in range(2)}) == 2)
    return server, lambda: connect_to(port, opened)


@pytest.fixture
def digits(opened):
    """A function that starts a server with accounts, and returns a connection to each of its two processes."""

    def start(**variables):
        server, port = opened.enter_context(digits_server(processes=2, **variables))
        return wait_until(lambda: connections_to_both(server, port, opened), 60)

    return start


def connections_to_both(server, port, opened):
    """Two connections, each to another process; None if one process has both, as before the other has started."""
    pair = [connect_to(port, opened) for _ in range(2)]
    for connection in pair:
        send(connection, "GET", "/healthz")
    ports = {connection.sock.getsockname()[1] for connection in pair}
    ends = [(worker, end) for worker in server.children() for end in worker.net_connections("tcp") if end.raddr]
    return pair if len({worker.pid for worker, end in ends if end.raddr.port in ports}) == 2 else None


def connect_to(port, opened):
    return opened.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)))


def send(connection, method, path, body=None, headers=None):
    """The status of a request."""
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    response.read()
    return response.status


def pid_from(connection):
    connection.request("GET", "/")
    return int(connection.getresponse().read())


def open_pipes(server, path):
    """The number of processes of a server that have this file open."""
    files = [file for worker in server.children() for file in Path(f"/proc/{worker.pid}/fd").iterdir()]
    return sum(file.readlink() == path for file in files)


def test_connections_are_shared_out_evenly(two):
    _, connect = two
    rounds = [[pid_from(connect()) for _ in range(16)] for _ in range(5)]
    most = sorted(max(map(pids.count, pids)) for pids in rounds)
    assert most[2] <= 11  # of 16: eight or nine, unless a busy machine stops a process for a while


def test_a_process_that_hangs_gets_no_new_connections(two):
    server, connect = two
    hanging = server.children()[0]
    hanging.suspend()
    try:
        assert hanging.pid not in [pid_from(connect()) for _ in range(8)]
    finally:
        hanging.resume()


def test_a_process_that_is_killed_is_replaced_and_no_other_connection_is_lost(two):
    _, connect = two
    connections = {pid_from(connection): connection for connection in (connect() for _ in range(8))}
    killed, survivor = connections
    psutil.Process(killed).kill()
    assert pid_from(connections[survivor]) == survivor
    assert pid_from(connect()) != killed
    wait_until(lambda: len({pid_from(connect()) for _ in range(4)} - {killed}) == 2)


def test_a_stop_finishes_the_requests_of_both_processes(two, tmp_path):
    server, connect = two
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    connections = {pid_from(connection): connection for connection in (connect() for _ in range(8))}
    for connection in connections.values():
        connection.request("GET", f"/hold?{pipe}")
    writer = pipe.open("wb")
    wait_until(lambda: open_pipes(server, pipe) == 2)
    server.terminate()
    writer.close()
    assert {int(connection.getresponse().read()) for connection in connections.values()} == set(connections)


def test_wrong_passwords_at_both_processes_count_together(digits):
    make_account("ada", "viewer")
    pair = digits()
    assert [log_in(pair[number % 2]) for number in range(MAX_BY_ACCOUNT)] == [401] * MAX_BY_ACCOUNT
    assert [log_in(connection) for connection in pair] == [429, 429]


def log_in(connection):
    body = json.dumps({"username": "ada", "password": "wrong"})
    return send(connection, "POST", "/login.json", body, {"Content-Type": "application/json"})


def test_requests_for_inference_at_both_processes_count_together(digits):
    headers = token_header(make_account("ada", "viewer"))
    pair = digits(DIGITS_INFERENCE_RATE="3")
    wait_until(lambda: time.time() % 60 < 45)  # all requests in one minute
    statuses = [send(connection, "POST", CLASSIFY, "", headers) for connection in pair * 3]
    assert [status == 429 for status in statuses] == [False] * 3 + [True] * 3


def test_bodies_that_arrive_at_both_processes_count_together(digits, opened):
    headers = token_header(make_account("ada", "user"))
    pair = digits(DIGITS_MAX_UPLOAD="1")
    _, port = pair[0].sock.getpeername()
    assert [begin_upload(connection, headers) for connection in pair] == [b"HTTP/1.1 100"] * 2
    assert begin_upload(connect_to(port, opened), headers) == b"HTTP/1.1 429"


def begin_upload(connection, headers):
    """The beginning of the first response to the head of a request whose body is the largest that is allowed."""
    form = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(1 << 20), "Expect": "100-continue"}
    connection.putrequest("POST", UPLOAD)
    for name, value in (headers | form).items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.sock.recv(12)


def test_bodies_that_another_process_has_spooled_count_against_the_free_disk():
    with first_of_two() as shared:
        other = forked(lambda: (shared.join(), shared.hold("spooled bodies", 1 << 62)))
        with other, contextlib.closing(Spool()) as spool, pytest.raises(OSError, match="bodies fill the disk"):
            spool.add(bytes(IN_MEMORY + 1))


def test_responses_that_another_process_has_spooled_count_against_the_free_disk():
    with first_of_two() as shared:
        other = forked(lambda: (shared.join(), shared.hold("spooled responses", 1 << 62)))
        with other, contextlib.closing(Backlog()) as backlog, pytest.raises(ConnectionResetError):
            backlog.add(b"more")
