"""gunicorn with this project's web worker, or a subclass, in front of a test's application; forks like its own."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import traceback

import psutil
from django.db import connection

from digits_project.common import row_cache
from digits_project.common.shared_memory import web_processes
from tests.support.server import ROOT, wait_until


@contextlib.contextmanager
def gunicorn_server(worker, application, threads=1, processes=1, **variables):
    """The process of a server and its port.

    Worker and application are given as gunicorn takes them: module.Class, module:name.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = ["-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "--threads", str(threads)]
        command += ["--workers", str(processes)]
        if processes > 1:  # tests keep a connection to each
            command += ["--keep-alive", "60"]
        # As the supervisor sets it. With gunicorn's default a stop takes 30 seconds while requests are queued.
        command += ["--graceful-timeout", "3"]
        command += ["--no-control-socket", "--worker-class", worker, application]
        env = {name: value for name, value in os.environ.items() if name != "GUNICORN_CMD_ARGS"} | variables
        server = subprocess.Popen([sys.executable, *command], pass_fds=[listener.fileno()], cwd=ROOT, env=env)
        try:
            yield psutil.Process(server.pid), listener.getsockname()[1]
        finally:
            server.terminate()
            server.wait(60)


def digits_server(worker="digits_project.server.gunicorn_worker.WebWorker", processes=1, **variables):
    """gunicorn_server() of digits_project on the tests' database, with accounts and eight threads a process."""
    variables = variables | database_of_tests()
    variables = {"DIGITS_AUTH": "required", "DIGITS_INFERENCE_RATE": "0", **variables}
    return gunicorn_server(worker, "digits_project.wsgi", threads=8, processes=processes, **variables)


def database_of_tests():
    """The environment variable with which a process uses the tests' database."""
    name = connection.settings_dict["NAME"]
    return {"DATABASE_URL": re.sub(r"/[^/?]+\?", f"/{name}?", os.environ["DATABASE_URL"], count=1)}


def read_until_close(connection):
    """The bytes that the server sends before it closes the connection."""
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(1 << 16):
            received += more
    return bytes(received)


# --- the cache of rows that the web process has ---------------------------------------------------------------------
class Deaf(row_cache.RowCache):
    """A cache that ignores the notifications of PostgreSQL."""

    def _drop_changed(self, connection):
        pass


def connect():
    """A new connection to the tests' database, as another process has one."""
    return connection.get_new_connection(connection.get_connection_params())


@contextlib.contextmanager
def opened_cache(kind=row_cache.RowCache):
    """A cache that this process follows while the block runs, as soon as it keeps values."""
    cache = row_cache.follow(connect, lambda: connection.in_atomic_block, kind)
    try:
        wait_until(lambda: is_warm(cache))
        yield cache
    finally:
        row_cache.unfollow()


def is_warm(cache):
    """Whether the cache keeps values."""
    first, second = object(), object()
    cache.get("is_warm", lambda: first)
    return cache.get("is_warm", lambda: second) is not second


# --- forks that share memory with the test's process, as web processes do -------------------------------------------
@contextlib.contextmanager
def first_of_two():
    """What this process shares with its forks, as the first of two web processes."""
    shared = web_processes.share(2)
    shared.join()
    yield shared
    web_processes.share(1)


@contextlib.contextmanager
def forked(function):
    """A fork that has called `function`, and lives until the end of the block."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            try:
                function()
                os.write(writing, b"1")
            except BaseException:  # noqa: BLE001 - the test fails because of the missing byte
                traceback.print_exc()
                os._exit(1)
            signal.pause()
        os._exit(0)
    os.close(writing)
    try:
        done = os.read(reading, 1)
        yield done
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
