"""Client-side timeouts for PostgreSQL, so that no process waits for ever for a server that hangs (stopped, swapping, a
dead disk). PostgreSQL's own statement timeouts don't work then, because the server itself enforces them."""

import math
import select
import time

import psycopg2
from psycopg2 import extensions

STATEMENT_SECONDS, CONNECT_SECONDS = 10.0, 5.0  # the longest waits of a server process


def limit_waits() -> None:
    """Set the timeouts for all connections of this process. Not for processes with long statements, as migrations."""
    extensions.set_wait_callback(_wait)


def _wait(connection) -> None:
    """The wait callback of psycopg2, called for each statement. psycopg2 closes the connection if this raises."""
    most = CONNECT_SECONDS if connection.status == extensions.STATUS_SETUP else STATEMENT_SECONDS
    deadline = time.monotonic() + most
    poller = select.poll()
    while (state := connection.poll()) != extensions.POLL_OK:
        poller.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        left = deadline - time.monotonic()
        if left <= 0 or not poller.poll(math.ceil(1000 * left)):
            raise psycopg2.OperationalError(f"PostgreSQL did not answer within {most:g} s")
