"""gunicorn's thread worker, adapted so that slow clients can't occupy threads.

gunicorn reads requests in threads, as slowly as clients send them. Here the loop reads them: a thread gets a request
when all of it is in memory or on disk, within the limits of its sender (`admission.py`), and when it is that caller's
turn (`fair_share.py`). The part of a response that a client does not read at once is spooled to disk
(`response_writer.py`).
"""

import contextlib
import resource
import socket
import sys
import time
from functools import partial

from digits_project.common.shared_memory.web_processes import shared
from digits_project.server.connection import OpenAdmission
from digits_project.server.departing_connections import DepartingConnections
from digits_project.server.event_loop import ReadingWorker
from digits_project.server.fair_share import Lanes
from digits_project.server.incoming_request import IN_MEMORY, TooLarge
from digits_project.server.poll_cache import LONGEST_REQUEST, ResponseCache, is_poll

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OPEN_FILES = 8192  # limit of the process: sockets, bodies, responses
SWITCH_SECONDS = 0.0001  # a thread releases Python's lock after that; the loop needs it after each system call
FILES_BESIDES = 400  # of them for other files than connections and bodies
NO_ROOM = 507, "The server has no disk space left for this request; try again later."
TOO_MANY_BODY = b"""{"error": {"message": "503: Service Unavailable", "type": "ServiceUnavailable",
 "description": "Too many requests of yours, or of others who have not logged in, wait already; send fewer at once."}}
"""
TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
) % (len(TOO_MANY_BODY), TOO_MANY_BODY)


class WebWorker(ReadingWorker):
    """Waits in the poller, not in threads, for requests and for clients that hang up.

    A status poll whose response is cached needs no thread.
    """

    linger_within = 5.0  # seconds
    patient_within = 1.0  # seconds in the queue, after which a request is run only if its client is still there
    max_spooled = 200  # responses spooled to disk

    def init_process(self):
        self.poll_cache = ResponseCache(shared().counters)
        self.notified = 0.0
        super().init_process()

    def get_thread_pool(self):
        self.lanes = Lanes(self.cfg.threads, self.method_queue.defer, self.cfg.workers)
        return self.lanes

    def run(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, files), hard))
        self.max_connections = min(self.max_connections, max(100, (max(soft, files) - FILES_BESIDES) // 2))
        self._divide_limits(self.cfg.workers)
        self.worker_connections = self.max_connections + 1  # gunicorn would stop accepting
        self.admission = getattr(self.wsgi, "admission", None) or OpenAdmission()
        self.streams = getattr(self.wsgi, "streams", None)
        if self.admission.behind_proxy:
            self.max_by_address = self.max_connections
        self.departing = DepartingConnections(self.poller, self.max_spooled, self.linger_within)
        sys.setswitchinterval(SWITCH_SECONDS)
        super().run()

    def _divide_limits(self, processes: int) -> None:
        """Divide the limits of the host among so many processes. Each has about as many connections as the others."""
        for limit in ("max_connections", "max_by_address", "max_spooled"):
            setattr(self, limit, -(-getattr(self, limit) // processes))

    def notify(self):
        """Send gunicorn's master a heartbeat once a second, not after every event, because polls cause many."""
        if time.monotonic() - self.notified >= 1:
            self.notified = time.monotonic()
            super().notify()

    def _cap_keepalive(self, deadline):
        if self.streams is not None:
            self.streams.stop()
        super()._cap_keepalive(deadline)

    # --- requests ---------------------------------------------------------------------------------------------------
    def _advance(self, conn):
        """Handle the data that has arrived."""
        incoming = conn.incoming
        try:
            if incoming.request is None:
                self._take_head(conn)
            elif self._take_body(conn):
                self._dispatch(conn)
        except Exception as fault:  # noqa: BLE001 - a thread reports it to the client; the loop goes on
            conn.fault = fault
            self._dispatch(conn)

    def _take_head(self, conn):
        incoming = conn.incoming
        data = bytes(incoming.buffer) if len(incoming.buffer) <= LONGEST_REQUEST else b""
        if self._send_cached(conn, data):
            incoming.buffer.clear()
            conn.begin(time.monotonic() + self.cfg.keepalive)
        elif incoming.parse_head():
            conn.poll = (data, self.poll_cache.changes(conn.address, data)) if is_poll(data) else None
            caller = self.admission.caller(incoming.request, conn.address)
            if caller is not None:
                self._apply_terms(conn, caller)
            else:
                conn.caller = self.admission.sender(incoming.request, conn.address)
                look_up = partial(self.admission.look_up, incoming.request, conn.address)
                self._queue(conn, "lookups", look_up, partial(self._looked_up, conn))

    def _looked_up(self, conn, future):
        try:
            self._apply_terms(conn, future.result())
        except Exception as fault:  # noqa: BLE001 - as above
            conn.fault = fault
            self._dispatch(conn)

    def _apply_terms(self, conn, caller):
        """Apply the caller's terms to its request: refuse it, or begin to read the body."""
        incoming = conn.incoming
        conn.caller, conn.terms = caller, self.admission.terms(incoming.request, caller)
        refusal = conn.terms.refusal
        if refusal is None and (incoming.length or 0) > conn.terms.limit:
            refusal = conn.terms.too_large
        if refusal is None and not self._count_body(conn, incoming.length or 0):
            refusal = self.admission.too_much
        if refusal is not None:
            self._refuse(conn, refusal)
            self._dispatch(conn)
            return
        incoming.begin_body(conn.terms.limit)
        if self._take_body(conn):
            self._dispatch(conn)
            return
        if incoming.request._expected_100_continue and not incoming.buffer and not incoming.body.size:
            with contextlib.suppress(OSError):
                socket.socket.send(conn.sock, CONTINUE)
        self._await(conn)

    def _take_body(self, conn) -> bool:
        """Read the body. Returns whether it is complete or was refused."""
        incoming = conn.incoming
        try:
            arrived = incoming.take_body()
        except TooLarge:
            return self._refuse(conn, conn.terms.too_large)
        except OSError:
            return self._refuse(conn, NO_ROOM)
        if incoming.length is None and not self._count_body(conn, incoming.body.size):
            return self._refuse(conn, self.admission.too_much)
        return arrived

    def _refuse(self, conn, refusal) -> bool:
        conn.incoming.refuse(*refusal)
        self._count_body(conn, 0)
        return True

    def _count_body(self, conn, size: int) -> bool:
        """Count a body of so many bytes for its caller. Returns False if the caller has too many bytes in transit."""
        size = size if size > IN_MEMORY else 0
        if size == conn.counted:
            return True
        total = self.host.hold(f"arriving {conn.caller.key}", size - conn.counted)
        conn.counted = size
        return total <= self.admission.max_arriving

    def _dispatch(self, conn):
        """Queue a complete request for a thread."""
        lane = conn.terms.lane if conn.terms else "requests"
        self._queue(conn, lane, partial(self.handle, conn), partial(self.finish_request, conn))

    def _queue(self, conn, lane, run, done):
        """Let a thread of this lane call `run()`, then the loop `done(future)`; meanwhile the connection is not
        read."""
        self._stop_reading(conn)
        if self.lanes[lane].is_full(conn.caller):
            with contextlib.suppress(OSError):
                socket.socket.send(conn.sock, TOO_MANY)
            self._release(conn)
            return
        conn.arrived = time.monotonic()
        self.lanes[lane].submit(conn.caller, run, done)

    def _send_cached(self, conn, data):
        """Send the cached response if the request is a status poll that has one. Returns whether it was sent."""
        cached = self.poll_cache.find(conn.address, data) if data and self.alive else None
        if not cached:
            return False
        sent = 0
        with contextlib.suppress(OSError):  # the client has gone, or its buffer is full
            sent = socket.socket.send(conn.sock, cached)
        if sent < len(cached):
            with contextlib.suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RDWR)  # the poller reports it
        return True

    # --- in a thread, and after it ----------------------------------------------------------------------------------
    def handle(self, conn):
        """Handle the request in a thread. Returns whether the connection stays open.

        A request whose client hung up while it waited for a thread is not run. A client that only closed its sending
        side, as `nc -N` does, looks the same; it is served if it gets a thread soon.
        """
        if time.monotonic() - conn.arrived > self.patient_within and conn.has_hung_up():
            return False
        request = conn.incoming.request
        conn.sock.setblocking(True)
        conn.sock.begin(record=conn.poll is not None)
        try:
            if conn.fault is not None:
                raise conn.fault
            kept = self.handle_request(conn.incoming.finish(), conn)
        except StopIteration:  # the application failed after the start of its response
            return False
        except (BrokenPipeError, ConnectionResetError) as gone:
            self.log.debug("The client closed the connection: %s", gone)
            return False
        except Exception as fault:  # noqa: BLE001 - as gunicorn's own worker does
            self.handle_error(request, conn.sock, conn.client, fault)
            return False
        if kept and conn.poll:
            request, changes = conn.poll
            self.poll_cache.keep(conn.address, request, bytes(conn.sock.recorded), changes)
        return kept and not conn.sock.backlog

    def finish_request(self, conn, future):
        kept = future.exception() is None and future.result()
        self._count_body(conn, 0)
        if conn.sock.hand_over is not None:
            conn.incoming.close()
            conn.sock.hand_over(conn.sock, partial(self.method_queue.defer, self._release, conn))
            return
        if kept and self.alive:
            conn.begin(time.monotonic() + self.cfg.keepalive)
            self._await(conn)
            if conn.incoming.buffer:  # the next request has arrived already
                conn.receive(b"")
                self._advance(conn)
            return
        self._release(conn)

    def _release(self, conn):
        self._forget(conn)
        if self.alive:
            self.departing.add(conn.sock, conn.address)
        else:
            conn.sock.close()
