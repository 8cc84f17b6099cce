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

from digits_project.polling import Repeats, is_poll
from digits_project.webclient import Client

SHORT = 64 << 10  # bytes of a request that is waited for as a whole
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)


class WebWorker(ThreadWorker):
    """Waits in the poller, not in a thread, for requests to arrive and for clients to hang up.

    A poll that has just been answered does not need a thread at all.
    """

    client = Client
    arrive_within = 15.0  # seconds
    hang_up_within = 5.0
    most_leaving = 500
    most_owed = 200  # answers that were put by; beyond them the slowest client is cut off

    def init_process(self):
        self.leaving = deque()  # (when to close it, socket) of those that were told goodbye
        self.owed = set()  # clients that have not taken all of their answers
        self.repeats = Repeats()
        self.notified = 0.0
        super().init_process()

    def notify(self):
        """Tell gunicorn's master of being alive: once a second, not after every event, of which polls make many."""
        if time.monotonic() - self.notified >= 1:
            self.notified = time.monotonic()
            super().notify()

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
        self.keepalived_conns.remove(conn)
        if self._repeat(conn, _peek(client)):
            self._keep(conn)
        else:
            self.poller.unregister(client)
            self._await_request(conn)

    def on_pending_socket_readable(self, conn, client):
        """A thread may have it if the request is here; else the kernel tells when there is more of it."""
        there = _peek(client)
        if there is None:
            return
        arrived = len(there) == conn.there or _has_arrived(there)  # as much as before: its end has come
        conn.there = len(there)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 if arrived else len(there) + 1)
        if self._repeat(conn, there):
            self.pending_conns.remove(conn)
            self._keep(conn)
            self.poller.modify(client, EVENT_READ, partial(self.on_client_socket_readable, conn))
        elif arrived:
            conn.poll = there if is_poll(there) else None
            super().on_pending_socket_readable(conn, client)
        elif not conn.encouraged and EXPECT.search(there):
            conn.encouraged = True
            with contextlib.suppress(OSError):
                socket.socket.send(client, b"HTTP/1.1 100 Continue\r\n\r\n")

    def handle(self, conn):
        poll, conn.poll = conn.poll, None
        conn.sock.begin(record=poll is not None)
        kept = super().handle(conn)
        if kept and poll:
            self.repeats.keep(_address(conn), poll, bytes(conn.sock.answer))
        return kept

    def murder_pending(self):
        """Called after every event, and once a second."""
        super().murder_pending()
        while self.leaving and (self.leaving[0][0] < time.monotonic() or self.leaving[0][1].fileno() < 0):
            self._forget(self.leaving.popleft()[1])
        for late in [client for client in self.owed if client.is_late()]:
            self._cut(late)

    def _repeat(self, conn, there):
        """Whether this was a poll that has just been answered, and is answered like that."""
        answer = self.repeats.find(_address(conn), there) if there and self.alive else None
        if not answer:
            return False
        sent = 0
        with contextlib.suppress(OSError):  # it has gone, or takes nothing
            socket.socket.recv(conn.sock, len(there))
            sent = socket.socket.send(conn.sock, answer)
        if sent < len(answer):
            with contextlib.suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RDWR)  # which the poller will tell
        return True

    def _keep(self, conn):
        """Wait for the next request, where the poller knows of it."""
        conn.set_timeout()
        self.keepalived_conns.append(conn)

    def _await_request(self, conn):
        conn.there, conn.encouraged, conn.poll = 0, False, None
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


def _address(conn):
    return conn.client[0] if isinstance(conn.client, tuple) else ""


def _peek(client):
    """What has arrived, up to SHORT; b"" at its end, None if there is nothing yet."""
    try:
        return socket.socket.recv(client, SHORT, socket.MSG_PEEK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _has_arrived(there: bytes) -> bool:
    """Whether this is a whole request, or the beginning of one that is longer than SHORT; a client that asks whether to
    send such a one gets its answer first."""
    head = there.find(b"\r\n\r\n")
    if head < 0:
        return len(there) >= SHORT
    told = LENGTH.search(there, 0, head + 2)
    whole = head + 4 + (int(told[1]) if told else 0)
    return len(there) >= min(whole, SHORT) or (whole > SHORT and EXPECT.search(there) is not None)
