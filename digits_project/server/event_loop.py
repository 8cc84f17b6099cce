"""gunicorn's thread worker with its own event loop, which accepts connections, reads requests and closes silent
ones."""

import contextlib
import errno
import socket
import time
from collections import Counter
from functools import partial
from selectors import EVENT_READ

from gunicorn.workers.gthread import ThreadWorker

from digits_project.common.shared_memory.web_processes import STOPPING, share, shared
from digits_project.server.connection import Connection, Waiting
from digits_project.server.departing_connections import DepartingConnections
from digits_project.server.response_writer import Client

# The kernel's queue of connections to accept (limited by net.core.somaxconn, often 4096). If it is full, the kernel
# drops a new connection's first packet, which the client sends again after a second.
MAX_QUEUED = 8192
ACCEPT_SECONDS = 0.02  # for accepting connections before the loop handles other events
BODIES_SECONDS = 0.01  # for reading bodies
YIELD_SECONDS = 0.001  # pause of accepting, in which a process with fewer connections can accept the next one
MAX_YIELDING = 0.02  # seconds of such pauses, after which this process accepts it nevertheless
TIDY_SECONDS = 0.5  # between two checks for late connections


class ReadingWorker(ThreadWorker):
    """Connections wait in the poller. A subclass handles the data that has arrived in _advance(),
    and counts it in _count_body()."""

    client = Client
    departing: DepartingConnections  # connections whose requests are over; the subclass makes it in run()
    arrive_within = 15.0  # seconds
    max_connections = 2000
    max_by_address = 1000

    @classmethod
    def check_config(cls, cfg, log):
        """Make the memory that the processes share; gunicorn calls this in the process that forks them."""
        super().check_config(cfg, log)
        share(cfg.workers)

    def init_process(self):
        self.host = shared()
        self.host.join()
        self.yielding_since = self.yielded_at = self.yields_until = 0.0
        self.silent = Waiting()
        self.by_address: Counter[str] = Counter()
        self.tidied = 0.0
        super().init_process()

    def run(self):
        for listener in self.sockets:  # the process that bound it can have set a shorter queue
            with contextlib.suppress(OSError):  # not allowed if another process bound it
                listener.listen(MAX_QUEUED)
        super().run()

    def _advance(self, conn):
        """Handle the data in `conn.incoming.buffer`."""
        raise NotImplementedError

    def _count_body(self, conn, size: int) -> bool:
        """Count a body of so many bytes for its caller. Returns False if the caller has too many bytes in transit."""
        raise NotImplementedError

    def wait_for_and_dispatch_events(self, timeout):
        """Wait for events and handle them, bodies last: the longest waiting first, for BODIES_SECONDS. The poller
        reports the others again, so a new request does not wait behind many large ones."""
        bodies = []
        if (pause := self.yields_until - time.monotonic()) > 0:
            timeout = min(timeout, pause)
        for key, _ in self.poller.select(timeout):
            conn = getattr(key.data, "args", (None,))[0]
            if isinstance(conn, Connection) and conn.incoming.body:
                bodies.append(key)
            else:
                key.data(key.fileobj)
        deadline = time.monotonic() + BODIES_SECONDS
        for key in sorted(bodies, key=lambda key: key.data.args[0].read_at):
            key.data(key.fileobj)
            if time.monotonic() > deadline:
                return

    def accept(self, listener):
        """Accept waiting connections for ACCEPT_SECONDS, not one per turn of the loop, so that a connection behind a
        crowd is accepted soon. If another process has fewer connections, it gets a moment to accept the next one."""
        if self._yields():
            super().set_accept_enabled(False)
            return
        others_accept = not self._is_busier()  # if it is, the others have let the pauses pass
        server, deadline = listener.getsockname(), time.monotonic() + ACCEPT_SECONDS
        kind = listener.family, listener.type, listener.proto
        try:
            while time.monotonic() < deadline and not (others_accept and self._is_busier()):
                taken, peer = listener.accept()
                self._admit(self.client(*kind, fileno=taken.detach()), peer, server)
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as full:
            if full.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._cut_oldest()

    def set_accept_enabled(self, enabled):
        if not enabled or time.monotonic() >= self.yields_until:
            super().set_accept_enabled(enabled)

    def _yields(self) -> bool:
        """Whether to pause accepting, so that a process with fewer connections can accept the next one."""
        if not self._is_busier():
            return False
        now = time.monotonic()
        if now - self.yielded_at > MAX_YIELDING:
            self.yielding_since = now
        self.yielded_at = now
        if now - self.yielding_since > MAX_YIELDING:  # the other process is stuck, or has just died
            return False
        self.yields_until = now + YIELD_SECONDS
        return True

    def _is_busier(self) -> bool:
        return self.host.others_have_fewer(self.nr_conns)

    def _admit(self, sock, peer, server):
        conn = Connection(self.cfg, sock, peer, server)
        if not self._make_room(conn.address):
            conn.sock.close()
            return
        self._count_connection(conn.address, 1)
        self._await(conn)

    def _make_room(self, address: str) -> bool:
        """Whether there is room for a connection; if needed, the longest silent one is closed first."""
        if self.by_address[address] >= self.max_by_address:
            self._cut_oldest(address)
        elif self.nr_conns >= self.max_connections:
            self._cut_oldest()
        return self.by_address[address] < self.max_by_address and self.nr_conns < self.max_connections

    def _cut_oldest(self, address: str | None = None) -> None:
        """Close the longest silent connection, of this address or of any. One with unread data is not silent."""
        for _ in range(len(self.silent)):
            oldest = self.silent.oldest(address)
            if oldest is None:
                return
            if not self._read(oldest, oldest.sock):
                self._drop(oldest)
                return

    def _await(self, conn):
        """Wait for more data of the request."""
        if conn not in self.silent:
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, EVENT_READ, partial(self._read, conn))
            self.silent.add(conn)

    def _stop_reading(self, conn):
        """Stop reading from the connection for now."""
        if self.silent.remove(conn):
            self.poller.unregister(conn.sock)

    def _drop(self, conn):
        self._stop_reading(conn)
        self._forget(conn)
        conn.sock.close()

    def _forget(self, conn):
        """Remove the connection from all waiting lists."""
        self._count_body(conn, 0)
        conn.incoming.close()
        self._count_connection(conn.address, -1)

    def _count_connection(self, address: str, change: int) -> None:
        self.nr_conns += change
        self.by_address[address] += change
        if not self.by_address[address]:
            del self.by_address[address]
        self.host.set_connections(self.nr_conns if self.alive else STOPPING)

    def murder_pending(self):
        """Close late connections. gunicorn calls this after every event; it checks all connections twice a second."""
        now = time.monotonic()
        if now - self.tidied >= TIDY_SECONDS:
            self.tidied = now
            self.departing.tidy()
            for late in [conn for conn in self.silent if conn.is_late(now, self.arrive_within)]:
                self._drop(late)

    def murder_keepalived(self, force=False):
        for conn in list(self.silent) if force else ():
            self._drop(conn)

    def _cap_keepalive(self, deadline):
        self.host.set_connections(STOPPING)
        for conn in self.silent:
            if not conn.received:
                conn.idle_until = min(conn.idle_until, deadline)

    def _read(self, conn, client) -> bool:
        """Read from the client. Returns whether there was data, or the end of the stream."""
        if conn not in self.silent:  # it was just closed
            return False
        try:
            data = socket.socket.recv(client, conn.incoming.block)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._drop(conn)
            return True
        conn.receive(data)
        self.silent.move_to_end(conn)
        self._advance(conn)
        return True
