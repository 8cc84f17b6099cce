"""A PostgreSQL that is there but does not answer (stopped, swapping, a dead disk) is as good as away: nobody waits for
it for ever. Statement timeouts are the server's own, which such a server does not keep."""

import math
import select
import time

import psycopg2
from psycopg2 import extensions

STATEMENT_SECONDS, CONNECT_SECONDS = 10.0, 5.0  # the longest that a server process waits


def limit_waits() -> None:
    """For all connections of this process, which runs no long statement: not for migrations."""
    extensions.set_wait_callback(_wait)


def _wait(connection) -> None:
    """Called by psycopg2 for each statement; it closes the connection of one that fails here."""
    most = CONNECT_SECONDS if connection.status == extensions.STATUS_SETUP else STATEMENT_SECONDS
    deadline = time.monotonic() + most
    poller = select.poll()
    while (state := connection.poll()) != extensions.POLL_OK:
        poller.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        left = deadline - time.monotonic()
        if left <= 0 or not poller.poll(math.ceil(1000 * left)):
            raise psycopg2.OperationalError(f"PostgreSQL did not answer within {most:g} s")
