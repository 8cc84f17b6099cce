"""The connection to a client of the web server, and what it has not taken of its answer yet."""

import contextlib
import errno
import os
import socket
import tempfile
import threading
import time

BLOCK = 256 << 10


class Backlog:
    """What a client has not taken yet, on disk (in tempfile's folder)."""

    _total, _lock = 0, threading.Lock()  # bytes of all of them

    def __init__(self):
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - close() closes it
        self._size = self._taken = 0

    def add(self, data: bytes) -> None:
        """Raises OSError where there is no room; all of them leave at least as much free as they take."""
        disk = os.fstatvfs(self._file.fileno())
        with Backlog._lock:
            if Backlog._total > disk.f_bavail * disk.f_frsize:
                raise ConnectionResetError(errno.ECONNRESET, "too much is waiting for slow clients")
            Backlog._total += len(data)
            self._size += len(data)
        self._file.write(data)

    def give(self, client: socket.socket) -> int:
        """Send what a client that does not block takes; how many bytes that was, 0 at the end."""
        self._file.flush()
        sent = client.send(os.pread(self._file.fileno(), BLOCK, self._taken))
        self._taken += sent
        return sent

    def close(self) -> None:
        with Backlog._lock:
            Backlog._total -= self._size
            self._size = 0
        self._file.close()


class Client(socket.socket):
    """The connection to a client, to which a thread sends. Raises ConnectionResetError if its response has no room."""

    grace = 15.0  # seconds that it may take, besides one for every `least` bytes
    least = 16 << 10
    patience = 0.2  # seconds of them, after which the rest of an answer is put by
    backlog: Backlog | None = None

    def begin(self, record: bool) -> None:
        """A request begins, for which all is given anew; `record`: remember what is answered."""
        self._waited, self._moved = 0.0, 0
        self.answer = bytearray() if record else None

    def setblocking(self, flag: bool) -> None:
        self.settimeout(self.grace if flag else 0.0)

    def sendall(self, data, *flags) -> None:
        if self.answer is not None:
            self.answer += data
        left = memoryview(data)
        while left and self.backlog is None:
            try:
                with self._timing(max(0.0, self.patience - self._waited)):
                    sent = super().send(left[:BLOCK], *flags)
            except (TimeoutError, BlockingIOError):
                self.backlog = Backlog()
            else:
                self._moved += sent
                left = left[sent:]
        if left:
            self.backlog.add(left)

    def sendfile(self, file, offset=0, count=None) -> None:
        file.seek(offset)
        left = count
        while block := file.read(BLOCK if left is None else min(BLOCK, left)):
            self.sendall(block)
            left = None if left is None else left - len(block)

    def put_by(self) -> None:
        """Its thread has gone; from now on it waits by itself."""
        self.setblocking(False)
        self._began = time.monotonic()

    def go_on(self) -> bool:
        """Whether there may be more to send of what was put by. Raises OSError."""
        sent = self.backlog.give(self)
        self._moved += sent
        return sent > 0

    def is_late(self) -> bool:
        return self._left() < time.monotonic() - self._began

    def pace(self) -> float:
        """Bytes a second of what was put by."""
        return self._moved / (self._waited + time.monotonic() - self._began)

    def close(self) -> None:
        if self.backlog:
            self.backlog.close()
        super().close()

    def _left(self) -> float:
        return self.grace + self._moved / self.least - self._waited

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
