"""gunicorn with a worker of ours, or one made of it, in front of an application of a test's."""

import contextlib
import os
import re
import socket
import subprocess
import sys

import psutil
from django.db import connection

from tests.support.server import ROOT


@contextlib.contextmanager
def served(worker, application, threads=1, **variables):
    """The process of the server, and its port. Both are named as gunicorn wants it: module.Class, module:name."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = ["-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "--threads", str(threads)]
        # As the supervisor does. With gunicorn's default of 30 seconds a stop takes that long while requests wait.
        command += ["--graceful-timeout", "3"]
        command += ["--no-control-socket", "--worker-class", worker, application]
        env = {name: value for name, value in os.environ.items() if name != "GUNICORN_CMD_ARGS"} | variables
        server = subprocess.Popen([sys.executable, *command], pass_fds=[listener.fileno()], cwd=ROOT, env=env)
        try:
            yield psutil.Process(server.pid), listener.getsockname()[1]
        finally:
            server.terminate()
            server.wait(60)


def served_digits(worker="digits_project.server.gunicorn_worker.WebWorker", **variables):
    """The same with this server, with accounts and eight threads, on the tests' database."""
    name = connection.settings_dict["NAME"]
    variables |= {"DATABASE_URL": re.sub(r"/[^/?]+\?", f"/{name}?", os.environ["DATABASE_URL"], count=1)}
    variables |= {"DIGITS_AUTH": "required", "DIGITS_INFERENCE_RATE": "0"}
    return served(worker, "digits_project.wsgi", threads=8, **variables)


def rest(connection):
    """What comes until the server closes the connection."""
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(1 << 16):
            received += more
    return bytes(received)
