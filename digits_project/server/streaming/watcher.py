"""A client that receives events: what it asked for, its user, and its connection."""

import json
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from digits_project.accounts.roles import role_of
from digits_project.accounts.viewer import limited_user, without_paths, working_for
from digits_project.common.shared_memory.web_processes import shared
from digits_project.jobs.events.event_log import Event, order
from digits_project.jobs.events.job_facts import DELETED
from digits_project.jobs.visibility import find_visible
from digits_project.server.admission import user_of

MAX_PENDING = 128 << 10  # bytes that a client can be behind
STALLED_SECONDS = 15.0  # without reading any, after which a client is dropped
SEND_BUFFER = 64 << 10  # bytes of the kernel for each connection
LAST_CHUNK = b"0\r\n\r\n"
ALL_STREAMS = "event streams"  # the name under which the streams of all users are counted


@dataclass(frozen=True)
class Wanted:
    """What a client asked for: types of events, and ids of jobs (empty: those of all jobs)."""

    types: frozenset[str]
    jobs: frozenset[str]

    def includes(self, event: Event) -> bool:
        return event.type in self.types and (not self.jobs or not event.job or event.job in self.jobs)


class Viewer:
    """The user of one or several streams. Its login is checked again at intervals, and so is which jobs it may see.

    `headers` are those with its session or token; None on a server without accounts.
    """

    def __init__(self, headers: tuple[tuple[str, str], ...] | None, user: Any):
        self.headers, self.user = headers, user
        self._look()

    def _look(self) -> None:
        self._seen: dict[str, bool] = {}
        with working_for(lambda: self.user):
            self.is_limited = limited_user() is not None  # it may see only some jobs, and no paths of the server

    def refresh(self) -> bool:
        """Authenticate the user again. Returns whether the user may still use the server."""
        if self.headers is not None:
            self.user = user_of(self.headers)
            if self.user is None or role_of(self.user) is None:
                return False
        self._look()
        return True

    def may_see(self, event: Event) -> bool:
        """Whether the user may see the event's job."""
        if event.job and self.is_limited and event.data.get("status") == DELETED and event.job not in self._seen:
            return event.data.get("owner") == self.user.get_username()
        return not event.job or self.may_see_job(event.job)

    def may_see_job(self, job_id: str) -> bool:
        if not self.is_limited:
            return True
        if job_id not in self._seen:
            with working_for(lambda: self.user):
                self._seen[job_id] = find_visible(job_id) is not None
        return self._seen[job_id]

    def data(self, event: Event) -> dict[str, Any]:
        """The event's data, without server paths if the user may not see them."""
        with working_for(lambda: self.user):
            return without_paths(event.data) if self.is_limited else event.data

    def text(self, event: Event) -> bytes:
        """The event as a message of an event stream."""
        return message(event.type, self.data(event), event.id)


class Watcher:
    """One event stream. A request's thread makes it, the loop calls begin(), the hub's thread sends from then on."""

    def __init__(self, wanted: Wanted, viewer: Viewer, position: str, is_chunked: bool, first: bytes, share: str):
        """`position`: the id of the newest event that `first` covers. `share`: the name under which it is counted."""
        self.wanted, self.viewer, self._is_chunked = wanted, viewer, is_chunked
        self.position, self.moment = position, order(position)
        self._pending = bytearray(self._framed(first))
        self._max_pending = MAX_PENDING + len(first)
        self._share = share
        self.sent_at = self._moved_at = time.monotonic()

    def begin(self, sock: socket.socket, done: Callable[[], None]) -> None:
        """Take over the connection; end() will call `done` once."""
        self.sock, self._done = sock, done
        sock.setblocking(False)
        with suppress(OSError):  # a Unix socket has no such option
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def wants(self, event: Event, moment: tuple[int, int]) -> bool:
        """Whether to send an event with this order: it was asked for, and the client does not have it yet."""
        return moment > self.moment and self.wanted.includes(event)

    def sees_its_jobs(self) -> bool:
        """Whether the user may see each job that was asked for."""
        return all(map(self.viewer.may_see_job, self.wanted.jobs))

    def send(self, data: bytes) -> bool:
        """Send some bytes, now or when the client reads. Returns False if the client has gone or is too slow."""
        self._pending += self._framed(data)
        self.sent_at = time.monotonic()
        return self.flush() and len(self._pending) <= self._max_pending

    def flush(self) -> bool:
        """Send what is pending, as far as the client reads it. Returns False if it has gone or has stopped reading."""
        try:
            while self._pending:
                del self._pending[: self.sock.send(self._pending)]
                self._moved_at = time.monotonic()
        except (BlockingIOError, InterruptedError):
            return time.monotonic() - self._moved_at < STALLED_SECONDS
        except OSError:
            return False
        self._moved_at = time.monotonic()
        return True

    def end(self, politely: bool) -> None:
        """Give the connection back. `politely`: with the end of the response, else it is cut."""
        with suppress(OSError):
            if politely and not self._pending:
                if self._is_chunked:
                    self.sock.send(LAST_CHUNK)
            else:
                self.sock.shutdown(socket.SHUT_RDWR)
        self.release()
        self._done()

    def release(self) -> None:
        """Count it no longer; called once."""
        shared().hold(self._share, -1)
        shared().hold(ALL_STREAMS, -1)

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked and data else data


def message(type: str, data: Mapping[str, Any], event_id: str = "") -> bytes:
    """A message of an event stream."""
    head = f"id: {event_id}\n" if event_id else ""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))  # in one line: JSON escapes line breaks
    return f"{head}event: {type}\ndata: {text}\n\n".encode()
