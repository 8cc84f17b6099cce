"""Sends responses to clients. If a client stalls, the rest of its response is spooled to disk."""

import contextlib
import errno
import os
import socket
import tempfile
import time
from collections.abc import Callable

from digits_project.common.shared_memory.web_processes import shared

BLOCK = 256 << 10


class Backlog:
    """The unsent rest of a response, on disk (in tempfile's folder)."""

    def __init__(self):
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - close() closes it
        self._size = self._taken = 0

    def add(self, data: bytes | memoryview) -> None:
        """Append data. Raises OSError if the disk is full; all backlogs together leave as many bytes free as they
        take."""
        disk = os.fstatvfs(self._file.fileno())
        self._size += len(data)
        if shared().hold("spooled responses", len(data)) - len(data) > disk.f_bavail * disk.f_frsize:
            raise ConnectionResetError(errno.ECONNRESET, "responses that wait for slow clients fill the disk")
        self._file.write(data)

    def give(self, client: socket.socket) -> int:
        """Send as much as a non-blocking socket accepts. Returns the number of bytes, 0 at the end."""
        self._file.flush()
        sent = client.send(os.pread(self._file.fileno(), BLOCK, self._taken))
        self._taken += sent
        return sent

    def close(self) -> None:
        shared().hold("spooled responses", -self._size)
        self._size = 0
        self._file.close()


class Client(socket.socket):
    """The socket to which a thread sends a response. Raises ConnectionResetError if there is no room to spool it."""

    send_within = 15.0  # seconds for a whole response, and one more for every `min_pace` bytes
    min_pace = 16 << 10  # bytes per second
    spool_after = 0.2  # seconds of stalled sending, after which the rest of the response goes to disk
    backlog: Backlog | None = None
    # Set by an application that keeps the connection after its response, as an event stream does: the loop calls it
    # with this socket, and with a function that gives the connection back.
    hand_over: "Callable[[Client, Callable[[], None]], None] | None" = None

    def begin(self, record: bool) -> None:
        """A request begins: reset all limits. `record`: keep the bytes of the response for the poll cache."""
        self._waited, self._moved = 0.0, 0
        self.recorded = bytearray() if record else None

    def setblocking(self, flag: bool) -> None:
        self.settimeout(self.send_within if flag else 0.0)

    def sendall(self, data, *flags) -> None:
        if self.hand_over is not None:  # gunicorn ends the response with an empty chunk, but it goes on
            return
        if self.recorded is not None:
            self.recorded += data
        left = memoryview(data)
        while left and self.backlog is None:
            try:
                with self._timing(max(0.0, self.spool_after - self._waited)):
                    sent = super().send(left[:BLOCK], *flags)
            except (TimeoutError, BlockingIOError):
                self.backlog = Backlog()
            else:
                self._moved += sent
                left = left[sent:]
        if self.backlog is not None and left:
            self.backlog.add(left)

    def sendfile(self, file, offset=0, count=None) -> int:
        """Send the file from `offset` on, at most `count` bytes. Returns the number of bytes."""
        file.seek(offset)
        left, sent = count, 0
        while block := file.read(BLOCK if left is None else min(BLOCK, left)):
            self.sendall(block)
            sent += len(block)
            left = None if left is None else left - len(block)
        return sent

    def leave_thread(self) -> None:
        """The thread is done; the loop sends the rest from now on."""
        self.setblocking(False)
        self._began = time.monotonic()

    def flush(self) -> bool:
        """Send some of the spooled rest. Returns whether there can be more. Raises OSError."""
        sent = self.backlog.give(self) if self.backlog else 0
        self._moved += sent
        return sent > 0

    def is_late(self) -> bool:
        return self._left() < time.monotonic() - self._began

    def pace(self) -> float:
        """The rate at which the client reads the spooled rest, in bytes per second."""
        return self._moved / (self._waited + time.monotonic() - self._began)

    def close(self) -> None:
        if self.backlog:
            self.backlog.close()
        super().close()

    def _left(self) -> float:
        return self.send_within + self._moved / self.min_pace - self._waited

    @contextlib.contextmanager
    def _timing(self, most: float):
        given = self.gettimeout()
        started = time.monotonic()
        try:
            self.settimeout(most)
            yield
        finally:
            self._waited += time.monotonic() - started
            self.settimeout(given)
