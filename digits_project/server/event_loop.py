"""gunicorn's worker of threads with another loop, which accepts connections, reads requests, and cuts who is silent."""

import errno
import socket
import time
from collections import Counter
from functools import partial
from selectors import EVENT_READ

from gunicorn.workers.gthread import ThreadWorker

from digits_project.server.connection import Connection
from digits_project.server.response_writer import Client

MAX_ACCEPTED = 100  # connections in a turn of the loop
BODIES_SECONDS = 0.01  # of reading bodies between two looks at what else is there


class ReadingWorker(ThreadWorker):
    """Connections wait in the poller. Who subclasses it says in _advance() what becomes of what has arrived."""

    client = Client
    arrive_within = 15.0  # seconds
    max_connections = 2000
    max_by_address = 1000

    def init_process(self):
        self.silent: dict[Connection, None] = {}  # those that are waited for; the one that sent last is last
        self.by_address: Counter[str] = Counter()
        self.tidied = 0.0
        super().init_process()

    def _advance(self, conn):
        """Go on with what has arrived in `conn.incoming.buffer`."""
        raise NotImplementedError

    def wait_for_and_dispatch_events(self, timeout):
        """Bodies last, those first that have waited for longest, and for a moment only; the poller tells of the others
        again. So a new request waits for no crowd of large ones."""
        bodies = []
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
        """Those that wait, so that a crowd's connections don't take a turn of the loop each."""
        try:
            for _ in range(MAX_ACCEPTED):
                self._meet(*listener.accept(), listener.getsockname())
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as full:
            if full.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._cut_oldest(lambda conn: True)

    def _meet(self, taken, peer, server):
        conn = Connection(self.cfg, self.client(fileno=taken.detach()), peer, server)
        if not self._make_room(conn.address):
            conn.sock.close()
            return
        self.nr_conns += 1
        self.by_address[conn.address] += 1
        self._await(conn)

    def _make_room(self, address: str) -> bool:
        """Whether there is, after the connection that has been silent for longest was cut."""
        if self.by_address[address] >= self.max_by_address:
            return self._cut_oldest(lambda conn: conn.address == address)
        return self.nr_conns < self.max_connections or self._cut_oldest(lambda conn: True)

    def _cut_oldest(self, matches) -> bool:
        oldest = next(filter(matches, self.silent), None)
        if oldest is not None:
            self._drop(oldest)
        return oldest is not None

    def _await(self, conn):
        """Wait for more of its request."""
        if conn not in self.silent:
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, EVENT_READ, partial(self._read, conn))
            self.silent[conn] = None

    def _park(self, conn):
        """Read no more of it for now."""
        if self.silent.pop(conn, self) is not self:
            self.poller.unregister(conn.sock)

    def _drop(self, conn):
        self._park(conn)
        self._forget(conn)
        conn.sock.close()

    def _forget(self, conn):
        """It is no request's any more."""
        self._count_body(conn, 0)
        conn.incoming.close()
        self.nr_conns -= 1
        self.by_address[conn.address] -= 1
        if not self.by_address[conn.address]:
            del self.by_address[conn.address]

    def murder_pending(self):
        """Called after every event, and once a second."""
        self.departures.tidy()
        if time.monotonic() - self.tidied >= 0.5:
            self.tidied = time.monotonic()
            for late in [conn for conn in self.silent if conn.is_late(self.arrive_within)]:
                self._drop(late)

    def murder_keepalived(self, force=False):
        for conn in list(self.silent) if force else ():
            self._drop(conn)

    def _cap_keepalive(self, deadline):
        for conn in self.silent:
            if not conn.received:
                conn.idle_until = min(conn.idle_until, deadline)

    def _read(self, conn, client):
        if conn not in self.silent:  # it was cut, just now
            return
        try:
            data = socket.socket.recv(client, conn.incoming.block)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._drop(conn)
            return
        conn.receive(data)
        self.silent[conn] = self.silent.pop(conn)  # the last one now
        self._advance(conn)
