"""A client's connection to the web worker, with its current request and the terms for that request."""

import socket
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from digits_project.accounts.client_address import client_network
from digits_project.server.fair_share import Caller
from digits_project.server.incoming_request import Incoming
from digits_project.server.response_writer import Client


@dataclass(frozen=True)
class Terms:
    """The terms of a request: its caller's lane and limits."""

    lane: str = "requests"
    limit: int = 1 << 62  # bytes of its body
    too_large: tuple[int, str] = (413, "")  # status and reason for a larger body
    refusal: tuple[int, str] | None = None  # status and reason if the request is refused at once


class OpenAdmission:
    """The terms of an application that has no attribute `admission` (wsgi.py sets it): the same for all clients."""

    behind_proxy = False
    max_arriving = 1 << 62
    too_much = 429, ""

    def caller(self, request, address: str) -> Caller | None:
        """The caller of a request; None if look_up() is needed, which runs in a thread."""
        return Caller(f"address {address}")

    def sender(self, request, address: str) -> Caller:
        """The caller that look_up()'s thread is charged to."""
        return Caller(f"address {address}")

    def look_up(self, request, address: str) -> Caller:
        return Caller(f"address {address}")

    def terms(self, request, caller: Caller) -> Terms:
        return Terms()


class Connection:
    """The loop's state of a connection; gunicorn uses its `sock` and `client` (the address)."""

    def __init__(self, cfg, sock: Client, peer, server):
        self.sock, self.client, self.server = sock, peer, server
        self.address = client_network(peer[0]) if isinstance(peer, tuple) else ""
        self.incoming = Incoming(cfg, peer)
        self.counted = 0  # bytes of the body that count for its caller
        self.begin(float("inf"))

    def begin(self, idle_until: float) -> None:
        """Begin to wait for a request, until `idle_until`."""
        self.incoming.reset()
        self.began = self.read_at = time.monotonic()
        self.received, self.idle_until = 0, idle_until
        self.poll: tuple[bytes, float] | None = None  # a status poll: the request's bytes, ResponseCache.changes()
        self.fault: Exception | None = None
        self.terms: Terms | None = None
        self.caller = Caller(f"address {self.address}", logged_in=False)

    def receive(self, data: bytes) -> None:
        if not self.received:
            self.began, self.idle_until = time.monotonic(), float("inf")
        self.read_at = time.monotonic()
        self.received += len(data)
        self.incoming.buffer += data

    def has_hung_up(self) -> bool:
        """Whether the client has closed its side of the connection and sent nothing more."""
        try:
            return not socket.socket.recv(self.sock, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def is_late(self, now: float, arrive_within: float) -> bool:
        """Whether the request is late: it has `arrive_within` seconds, and one more for every `min_pace` bytes."""
        return now > self.idle_until or now - self.began > arrive_within + self.received / self.sock.min_pace


class Waiting:
    """The connections that wait for data of their requests, the longest silent first.

    OrderedDicts, because in a dict finding the first entry passes over all entries removed before it.
    """

    def __init__(self):
        self._all: OrderedDict[Connection, None] = OrderedDict()
        self._of: defaultdict[str, OrderedDict[Connection, None]] = defaultdict(OrderedDict)

    def add(self, conn: Connection) -> None:
        self._all[conn] = self._of[conn.address][conn] = None

    def remove(self, conn: Connection) -> bool:
        """Remove a connection. Returns whether it was in."""
        if conn not in self._all:
            return False
        del self._all[conn], self._of[conn.address][conn]
        if not self._of[conn.address]:
            del self._of[conn.address]
        return True

    def move_to_end(self, conn: Connection) -> None:
        """Mark that the connection has sent data."""
        self._all.move_to_end(conn)
        self._of[conn.address].move_to_end(conn)

    def oldest(self, address: str | None = None) -> Connection | None:
        """The longest silent connection, of this address or of any."""
        return next(iter(self._all if address is None else self._of.get(address, ())), None)

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, conn: Connection) -> bool:
        return conn in self._all

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._all)
