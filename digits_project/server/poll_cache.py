"""Caches responses to status polls, which clients send many times a second.

Building a response takes 1 ms of CPU time that a training could use; passing a request to a thread a third of that.
"""

import re
import time

from digits_project.common.shared_memory.counters import SharedCounters

POLL = re.compile(rb"GET [^ ?]*/(jobs|datasets|models)/+[0-9a-f-]+/status(\.json)?(\?[^ ]*)? HTTP/1\.1\r\n")
MORE = re.compile(rb"content-length|transfer-encoding|expect|upgrade", re.IGNORECASE)
FRESH_SECONDS = 0.25
LONGEST_REQUEST = 4 << 10
LONGEST_ANSWER = 16 << 10
MAX_KEPT = 1000


def is_poll(request: bytes) -> bool:
    """Whether these bytes are exactly one complete request for a status."""
    return (
        len(request) <= LONGEST_REQUEST
        and request.find(b"\r\n\r\n") == len(request) - 4
        and POLL.match(request) is not None
        and MORE.search(request) is None
    )


class ResponseCache:
    """Responses to polls, by the client's address and the request's bytes, on which the whole response depends.

    Threads store them, the loop finds them. Each web process of a host has its own. `counters` are those of all: a
    process that has a new response to a client's poll changes the poll's counter, and those of the others are no longer
    found. So a client that has read Done never reads Running afterwards.
    """

    def __init__(self, counters: SharedCounters) -> None:
        self._counters = counters
        self._kept: dict[tuple[str, bytes], tuple[float, float, bytes]] = {}  # moment, changes, response

    def find(self, client: str, request: bytes) -> bytes | None:
        """The response to this request of this client; None if it is older than FRESH_SECONDS or has changed."""
        kept = self._kept.get((client, request))
        if kept is None or time.monotonic() - kept[0] > FRESH_SECONDS or self.changes(client, request) != kept[1]:
            return None
        return kept[2]

    def changes(self, client: str, request: bytes) -> float:
        """A number that changes when a process gets a new response to this poll. Read it before the job's row."""
        [changes] = self._counters.values(_counter(client, request))
        return changes

    def keep(self, client: str, request: bytes, response: bytes, changes: float) -> None:
        """Store a response, unless it is an error or sets cookies.

        request: a poll. response: all bytes sent. changes: changes() before the response was made.
        """
        head, _, body = response.partition(b"\r\n\r\n")
        head = head.lower()
        if not head.startswith(b"http/1.1 200 ") or b"\r\nset-cookie:" in head or len(response) > LONGEST_ANSWER:
            return
        before = self._kept.get((client, request))
        if before is None or before[2].partition(b"\r\n\r\n")[2] != body:
            step = time.monotonic()  # so that a counter that has expired never gets a value again
            now = self._counters.add(_counter(client, request), step, 4 * FRESH_SECONDS)
            changes = now if now == changes + step else changes
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept[client, request] = (time.monotonic(), changes, response)


def _counter(client: str, request: bytes) -> str:
    return f"poll {client} {request.decode('latin-1')}"
