"""gunicorn's worker of threads, which clients that take their time can't hold.

gunicorn waits in a thread for whatever a client sends, and in its main loop for clients to hang up: a few slow ones
stop the server. Here a connection gets a thread when its request has arrived, as far as that is short. With a thread it
has to move bytes; an answer that is not taken quickly goes to disk, and from there as slowly as the client likes, and
what is left of a connection at its end keeps nobody.
"""

import contextlib
import re
import socket
import time
from collections import deque
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE

from gunicorn import util
from gunicorn.workers.gthread import ThreadWorker

from digits_project.webclient import Client

SHORT = 64 << 10  # bytes of a request that is waited for as a whole
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)


class WebWorker(ThreadWorker):
    """Waits in the poller, not in a thread, for requests to arrive and for clients to hang up."""

    client = Client
    arrive_within = 15.0  # seconds
    hang_up_within = 5.0
    most_leaving = 500
    most_owed = 200  # answers that were put by; beyond them the slowest client is cut off

    def init_process(self):
        self.leaving = deque()  # (when to close it, socket) of those that were told goodbye
        self.owed = set()  # clients that have not taken all of their answers
        super().init_process()

    def enqueue_req(self, conn):
        """Called for a connection that is new, or one whose request has arrived."""
        if isinstance(conn.sock, Client):
            super().enqueue_req(conn)
        else:
            conn.sock = self.client(fileno=conn.sock.detach())
            conn.close = partial(self._close, conn)
            self._await_request(conn)

    def on_client_socket_readable(self, conn, client):
        """The next request of a connection that was kept."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)

    def on_pending_socket_readable(self, conn, client):
        """A thread may have it if the request is here; else the kernel tells when there is more of it."""
        try:
            there = socket.socket.recv(client, SHORT, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            there = b""
        arrived = len(there) == conn.there or _has_arrived(there)  # as much as before: its end has come
        conn.there = len(there)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 if arrived else len(there) + 1)
        if arrived:
            super().on_pending_socket_readable(conn, client)
        elif not conn.encouraged and EXPECT.search(there):
            conn.encouraged = True
            with contextlib.suppress(OSError):
                socket.socket.send(client, b"HTTP/1.1 100 Continue\r\n\r\n")

    def handle(self, conn):
        conn.sock.begin()
        return super().handle(conn)

    def murder_pending(self):
        """Called once a second."""
        super().murder_pending()
        while self.leaving and (self.leaving[0][0] < time.monotonic() or self.leaving[0][1].fileno() < 0):
            self._forget(self.leaving.popleft()[1])
        for late in [client for client in self.owed if client.is_late()]:
            self._cut(late)

    def _await_request(self, conn):
        conn.there, conn.encouraged = 0, False
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.arrive_within
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _keepalive_after(self, conn, keepalive):
        """Only without anything unsent, or unread: of this request, which may never come, or of a next one."""
        done = keepalive and not conn.sock.backlog and conn.parser.finish_body(deadline=time.monotonic() + 0.05)
        return bool(done and not conn.parser.unreader.buf.getvalue())

    def _close(self, conn, graceful=False):
        """Say goodbye, then take what is still coming, so that the client gets to read the answer (RFC 9112, 9.6)."""
        if not (graceful and self.alive):
            util.close(conn.sock)
        elif conn.sock.backlog:
            self._owe(conn.sock)
        else:
            self._take_leave(conn.sock)

    def _owe(self, client):
        """What was put by is sent as the client takes it."""
        try:
            client.put_by()
            self.poller.register(client, EVENT_WRITE, self._pay)
        except (OSError, ValueError):  # it has gone already
            util.close(client)
            return
        self.owed.add(client)
        if len(self.owed) > self.most_owed:
            self._cut(min(self.owed, key=Client.pace))

    def _pay(self, client):
        try:
            if client.go_on():
                return
        except BlockingIOError:
            return
        except OSError:
            self._cut(client)
            return
        self.owed.discard(client)
        self.poller.unregister(client)
        self._take_leave(client)

    def _cut(self, client):
        self.owed.discard(client)
        self._forget(client)

    def _take_leave(self, client):
        try:
            client.shutdown(socket.SHUT_WR)
            client.setblocking(False)
            self.poller.register(client, EVENT_READ, self._drain)
        except (OSError, ValueError):  # it has gone already
            util.close(client)
            return
        self.leaving.append((time.monotonic() + self.hang_up_within, client))
        if len(self.leaving) > self.most_leaving:
            self._forget(self.leaving.popleft()[1])

    def _drain(self, client):
        try:
            more = socket.socket.recv(client, SHORT)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            self._forget(client)

    def _forget(self, client):
        with contextlib.suppress(KeyError, ValueError):  # it was closed before its time
            self.poller.unregister(client)
        util.close(client)


def _has_arrived(there: bytes) -> bool:
    """Whether this is a whole request, or the beginning of one that is longer than SHORT; a client that asks whether to
    send such a one gets its answer first."""
    head = there.find(b"\r\n\r\n")
    if head < 0:
        return len(there) >= SHORT
    told = LENGTH.search(there, 0, head + 2)
    whole = head + 4 + (int(told[1]) if told else 0)
    return len(there) >= min(whole, SHORT) or (whole > SHORT and EXPECT.search(there) is not None)
