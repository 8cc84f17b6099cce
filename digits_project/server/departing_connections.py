"""Connections whose thread has gone: what they have not taken of their response is sent as they take it, then they are
given a moment to hang up. All of it in the web worker's loop."""

import contextlib
import socket
import time
from collections import Counter, deque
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector

from gunicorn import util

from digits_project.server.response_writer import BLOCK, Client

MAX_LEAVING = 500


class Departures:
    """At most `max_owed` clients have responses on disk; beyond them the slowest of the address with most is cut."""

    def __init__(self, poller: BaseSelector, max_owed: int, hang_up_within: float):
        self._poller, self._max_owed, self._hang_up_within = poller, max_owed, hang_up_within
        self._leaving = deque()  # (when to close it, socket) of those that were told goodbye
        self._owed: dict[Client, str] = {}  # clients that have not taken all of their responses, and their addresses

    def add(self, client: Client, address: str) -> None:
        """Say goodbye, then take what is still coming, so that the client gets to read the response (RFC 9112, 9.6)."""
        if client.backlog:
            self._owe(client, address)
        else:
            self._take_leave(client)

    def tidy(self) -> None:
        """Called twice a second: it looks at all that is owed."""
        while self._leaving and (self._leaving[0][0] < time.monotonic() or self._leaving[0][1].fileno() < 0):
            self._forget(self._leaving.popleft()[1])
        for late in [client for client in self._owed if client.is_late()]:
            self._cut(late)

    def _owe(self, client: Client, address: str) -> None:
        try:
            client.put_by()
            self._poller.register(client, EVENT_WRITE, self._pay)
        except (OSError, ValueError):  # it has gone already
            util.close(client)
            return
        self._owed[client] = address
        if len(self._owed) > self._max_owed:
            (most, _), *_ = Counter(self._owed.values()).most_common(1)
            self._cut(min((client for client, of in self._owed.items() if of == most), key=Client.pace))

    def _pay(self, client: Client) -> None:
        try:
            if client.go_on():
                return
        except BlockingIOError:
            return
        except OSError:
            self._cut(client)
            return
        del self._owed[client]
        self._poller.unregister(client)
        self._take_leave(client)

    def _cut(self, client: Client) -> None:
        self._owed.pop(client, None)
        self._forget(client)

    def _take_leave(self, client: Client) -> None:
        try:
            client.shutdown(socket.SHUT_WR)
            client.setblocking(False)
            self._poller.register(client, EVENT_READ, self._drain)
        except (OSError, ValueError):  # it has gone already
            util.close(client)
            return
        self._leaving.append((time.monotonic() + self._hang_up_within, client))
        if len(self._leaving) > MAX_LEAVING:
            self._forget(self._leaving.popleft()[1])

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
        if client.fileno() < 0:  # it was closed before its time; the poller would look for it among all connections
            return
        with contextlib.suppress(KeyError):
            self._poller.unregister(client)
        util.close(client)
