"""A client's connection to the web worker, the request that arrives on it, and the terms under which it is taken."""

import time
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

    def is_late(self, arrive_within: float) -> bool:
        """Whether the request is not here in time: that many seconds, and one more for every `least` bytes."""
        now = time.monotonic()
        return now > self.idle_until or now - self.began > arrive_within + self.received / self.sock.least
