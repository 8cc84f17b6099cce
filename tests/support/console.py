"""Commands of manage.py as processes on the tests' database, and streams that stand for a terminal and a pipe."""

import io
import os
import pty
import re
import subprocess
import sys
from urllib.parse import urlsplit

from django.db import connection

from tests.support.server import ROOT, wait_until

LOCK_BLOCKS = """
SELECT EXISTS (
    SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database()
)
"""
CONTROL = re.compile(r"\033\[(?P<number>\??\d*)(?P<code>[a-zA-Z])|(?P<letter>.)", re.DOTALL)


def start_command(*arguments, variables=None, **streams):
    """The process of `manage.py …`. It sees only committed rows, so the test has to be transactional."""
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    command = [sys.executable, "manage.py", *map(str, arguments)]
    env = {**os.environ, "DATABASE_URL": url, "TERM": "xterm"} | (variables or {})
    return subprocess.Popen(command, cwd=ROOT, env=env, **streams)


def wait_until_a_lock_blocks():
    """Wait until another connection, such as a command's, waits for a lock of the tests' database."""
    with connection.cursor() as cursor:

        def one_waits():
            cursor.execute(LOCK_BLOCKS)
            return cursor.fetchone()[0]

        wait_until(one_waits, 60)


def run_on_terminal(*arguments):
    """(exit status, standard output, characters sent to the terminal) of a command whose stderr is a terminal."""
    reader, terminal = pty.openpty()
    process = start_command(*arguments, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    written = b"".join(iter(lambda: _read(reader), b"")).decode()
    os.close(reader)
    return process.wait(), process.communicate()[0].decode(), written


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux raises EIO once the other side is closed
        return b""


class Pipe(io.StringIO):
    encoding = "ascii"


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True

    def lines(self):
        """The lines on its screen."""
        return displayed_lines(self.getvalue())[0]


def displayed_lines(written):
    """(the lines that a terminal shows after these characters, whether its cursor is visible)."""
    lines, row, column, visible = [""], 0, 0, True
    for found in CONTROL.finditer(written):
        match found["code"], found["number"], found["letter"]:
            case "A", number, _:
                row -= int(number or 1)
            case "K", _, _:
                lines[row] = ""
            case ("l" | "h") as code, "?25", _:
                visible = code == "h"
            case None, _, "\r":
                column = 0
            case None, _, "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            case None, _, letter:
                lines[row] = lines[row].ljust(column)[:column] + letter + lines[row][column + 1 :]
                column += 1
    return lines, visible
