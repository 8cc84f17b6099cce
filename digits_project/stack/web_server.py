"""The web server of `make run`: its command line, its number of processes, its socket."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from digits_project.common.resources import limit, usable_cores
from digits_project.common.shared_memory.web_processes import MAX_PROCESSES

LISTENER = 100  # file descriptor of the listening socket
OPTIONS = (
    *("--timeout", "60", "--graceful-timeout", "3", "--no-control-socket"),
    *("--worker-class", "digits_project.server.gunicorn_worker.WebWorker"),
    *("--forwarded-allow-ips", ""),  # settings.py decides which headers of a proxy are trusted
)
THREADS = 8  # of all processes together
MIN_THREADS = 4  # of a process
MAX_BY_DEFAULT = 4
MEMORY_A_PROCESS = 2 << 30  # bytes of the machine's memory for each process by default


class StackError(Exception):
    """The stack can't run here; the text tells the user why."""


def command() -> list[str]:
    """The command line of the web server."""
    count = processes_from_environment()
    numbers = ["--workers", str(count), "--threads", str(threads(THREADS, count))]
    return ["gunicorn", "digits_project.wsgi", "--bind", f"fd://{LISTENER}", *numbers, *OPTIONS]


def threads(together: int, count: int) -> int:
    """The number of threads of each of `count` processes, which have `together` threads."""
    return max(MIN_THREADS, together // count)


def processes_from_environment() -> int:
    """DIGITS_WEB_PROCESSES, else what suits the machine. Raises StackError."""
    text = os.environ.get("DIGITS_WEB_PROCESSES") or str(suitable_processes(usable_cores(), limit().size))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_PROCESSES):
        raise StackError(f"DIGITS_WEB_PROCESSES is {text!r}; it must be a number from 1 to {MAX_PROCESSES}")
    return int(text)


def suitable_processes(cores: int, memory: int) -> int:
    """The number of web processes for so many cores and bytes of memory."""
    return max(1, min(cores, memory // MEMORY_A_PROCESS, MAX_BY_DEFAULT))


@contextlib.contextmanager
def listen(port: int) -> Iterator[socket.socket]:
    """A listening socket on 127.0.0.1, on `port`, else one of the next nine, else any free port."""
    for candidate in (*range(port, min(port + 10, 65536)), 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", candidate))
                listener.listen(128)
            except PermissionError:
                raise StackError(f"Only root may use port {candidate}; set DIGITS_PORT to 1024 or more") from None
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            yield listener
            return


def status_of(url: str) -> int | None:
    """The HTTP status of a GET, or None without a response. Not by http.client, which would keep 3 MiB of this process
    for as long as the server runs."""
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(f"GET /index.json HTTP/1.0\r\nHost: {address.netloc}\r\n\r\n".encode())
            return int(connection.makefile("rb").readline().split()[1])
    except (OSError, IndexError, ValueError):  # nothing listens yet, or the web server died meanwhile
        return None


def port_from_environment() -> int:
    """DIGITS_PORT, or 5000; 0 means any free port."""
    text = os.environ.get("DIGITS_PORT") or "5000"
    if not (text.isdecimal() and int(text) < 65536):
        raise StackError(f"DIGITS_PORT is {text!r}; it must be a number from 0 to 65535")
    return int(text)
