"""Connections without a thread: the loop sends the spooled rest of their responses, then lets them linger for a moment
until the client hangs up."""

import contextlib
import socket
import time
from collections import Counter, deque
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector
from typing import Any

from gunicorn import util

from digits_project.server.response_writer import BLOCK, Client

MAX_LINGERING = 500


class DepartingConnections:
    """Sends spooled responses. At most `max_spooled` clients have one; beyond that the slowest client of the address
    with most of them is closed."""

    def __init__(self, poller: BaseSelector, max_spooled: int, linger_within: float):
        self._poller, self._max_spooled, self._linger_within = poller, max_spooled, linger_within
        self._lingering: deque[tuple[float, Any]] = deque()  # (time to close, socket) of lingering connections
        self._spooled: dict[Client, str] = {}  # clients with a spooled response, and their addresses

    def add(self, client: Client, address: str) -> None:
        """Let a connection linger: close our side and read what still arrives, so that the client can read the response
        (RFC 9112, 9.6)."""
        if client.backlog:
            self._await_flush(client, address)
        else:
            self._linger(client)

    def tidy(self) -> None:
        """Check all clients with spooled responses; called twice a second."""
        while self._lingering and (self._lingering[0][0] < time.monotonic() or self._lingering[0][1].fileno() < 0):
            self._forget(self._lingering.popleft()[1])
        for late in [client for client in self._spooled if client.is_late()]:
            self._cut(late)

    def _await_flush(self, client: Client, address: str) -> None:
        try:
            client.leave_thread()
            self._poller.register(client, EVENT_WRITE, self._flush)
        except (OSError, ValueError):  # it has gone already
            util.close(client)
            return
        self._spooled[client] = address
        if len(self._spooled) > self._max_spooled:
            (most, _), *_ = Counter(self._spooled.values()).most_common(1)
            self._cut(min((client for client, of in self._spooled.items() if of == most), key=Client.pace))

    def _flush(self, client: Client) -> None:
        try:
            if client.flush():
                return
        except BlockingIOError:
            return
        except OSError:
            self._cut(client)
            return
        del self._spooled[client]
        self._poller.unregister(client)
        self._linger(client)

    def _cut(self, client: Client) -> None:
        self._spooled.pop(client, None)
        self._forget(client)

    def _linger(self, client: Client) -> None:
        try:
            client.shutdown(socket.SHUT_WR)
            client.setblocking(False)
            self._poller.register(client, EVENT_READ, self._drain)
        except (OSError, ValueError):  # it has gone already
            util.close(client)
            return
        self._lingering.append((time.monotonic() + self._linger_within, client))
        if len(self._lingering) > MAX_LINGERING:
            self._forget(self._lingering.popleft()[1])

    def _drain(self, client: Client) -> None:
        try:
            more = socket.socket.recv(client, BLOCK)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            self._forget(client)

    def _forget(self, client: Client) -> None:
        if client.fileno() < 0:  # already closed; the poller would search for it among all connections
            return
        with contextlib.suppress(KeyError):
            self._poller.unregister(client)
        util.close(client)
