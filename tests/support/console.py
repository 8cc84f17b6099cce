"""Commands of manage.py as processes of their own, on the tests' database."""

import os
import pty
import subprocess
import sys
from urllib.parse import urlsplit

from django.db import connection

from tests.support.server import ROOT


def started(*arguments, variables=None, **streams):
    """The process of `manage.py …`; its rows are those of the test, which has to be transactional."""
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    command = [sys.executable, "manage.py", *map(str, arguments)]
    env = {**os.environ, "DATABASE_URL": url, "TERM": "xterm"} | (variables or {})
    return subprocess.Popen(command, cwd=ROOT, env=env, **streams)


def on_terminal(*arguments):
    """(exit status, standard output, what the terminal shows) of a command whose standard error is a terminal."""
    shown, terminal = pty.openpty()
    process = started(*arguments, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    said = b"".join(iter(lambda: _read(shown), b"")).decode()
    os.close(shown)
    return process.wait(), process.communicate()[0].decode(), said


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says EIO where the other side is gone
        return b""
