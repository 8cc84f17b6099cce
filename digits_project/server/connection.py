"""A client's connection to the web worker, the request that arrives on it, and the terms under which it is taken."""

import socket
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from digits_project.accounts.client_address import household
from digits_project.server.fair_share import Caller
from digits_project.server.incoming_request import Incoming
from digits_project.server.response_writer import Client


@dataclass(frozen=True)
class Terms:
    """Under which a request is taken."""

    lane: str = "requests"
    limit: int = 1 << 62  # bytes of its body
    too_large: tuple[int, str] = (413, "")  # status and reason, where the body has more
    refusal: tuple[int, str] | None = None  # the same, where the request is not taken at all


class Anybody:
    """Terms for whoever comes, of an application that says no others by its attribute `admission` (as wsgi.py does)."""

    behind_proxy = False
    max_arriving = 1 << 62
    too_much = 429, ""

    def caller(self, request, address: str) -> Caller | None:
        """Who sends a request; None if look_up() has to say it, in a thread."""
        return Caller(f"address {address}")

    def sender(self, request, address: str) -> Caller:
        """For whom look_up() takes a thread."""
        return Caller(f"address {address}")

    def look_up(self, request, address: str) -> Caller:
        return Caller(f"address {address}")

    def terms(self, request, caller: Caller) -> Terms:
        return Terms()


class Connection:
    """What the loop knows of it; gunicorn calls the socket `sock` and the client's address `client`."""

    def __init__(self, cfg, sock: Client, peer, server):
        self.sock, self.client, self.server = sock, peer, server
        self.address = household(peer[0]) if isinstance(peer, tuple) else ""
        self.incoming = Incoming(cfg, peer)
        self.counted = 0  # bytes of its body that count as its caller's
        self.begin(float("inf"))

    def begin(self, idle_until: float) -> None:
        """A request may come until then."""
        self.incoming.reset()
        self.began = self.read_at = time.monotonic()
        self.received, self.idle_until = 0, idle_until
        self.poll: bytes | None = None  # the request, if it is one for a status
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
        """Whether the client has closed its side of the connection, without a word more."""
        try:
            return not socket.socket.recv(self.sock, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def is_late(self, now: float, arrive_within: float) -> bool:
        """Whether the request is not here in time: that many seconds, and one more for every `least` bytes."""
        return now > self.idle_until or now - self.began > arrive_within + self.received / self.sock.least


class Waiting:
    """Connections that wait for more of their requests, those that have been silent for longest first.

    With dicts in place of these OrderedDicts, finding the first would pass over all that were removed before it.
    """

    def __init__(self):
        self._all: OrderedDict[Connection, None] = OrderedDict()
        self._of: defaultdict[str, OrderedDict[Connection, None]] = defaultdict(OrderedDict)

    def add(self, conn: Connection) -> None:
        self._all[conn] = self._of[conn.address][conn] = None

    def remove(self, conn: Connection) -> bool:
        """Whether it was there."""
        if conn not in self._all:
            return False
        del self._all[conn], self._of[conn.address][conn]
        if not self._of[conn.address]:
            del self._of[conn.address]
        return True

    def move_to_end(self, conn: Connection) -> None:
        """It has sent something."""
        self._all.move_to_end(conn)
        self._of[conn.address].move_to_end(conn)

    def oldest(self, address: str | None = None) -> Connection | None:
        """The one that has been silent for longest, of this address or of any."""
        return next(iter(self._all if address is None else self._of.get(address, ())), None)

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, conn: Connection) -> bool:
        return conn in self._all

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._all)
