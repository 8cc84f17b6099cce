"""A request while it arrives: its head, then its body, which waits in memory or on disk until a thread gets it.

Nothing here blocks: the web worker's loop hands over the bytes as they come.
"""

import errno
import os
import re
import tempfile
import threading
from collections.abc import Iterator

from gunicorn.http.body import CHUNK_EXT_RE, ChunkedReader
from gunicorn.http.errors import (
    ChunkMissingTerminator,
    InvalidChunkExtension,
    InvalidChunkSize,
    InvalidHeader,
    InvalidRequestLine,
    LimitRequestHeaders,
    NoMoreData,
    UnsupportedTransferCoding,
)
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

MAX_HEAD = 64 << 10  # bytes
MAX_CHUNK_LINE = 1 << 10  # bytes of a chunk's size with its extensions, or of one trailer
MAX_TRAILERS = 8 << 10  # bytes of all of them
IN_MEMORY = 64 << 10  # bytes of a body; a larger one goes to disk
BLOCK, SMALL_BLOCK = 1 << 20, 8 << 10  # bytes read at a time: of a body; of a head, or of chunks, which may be tiny
CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})([ \t]*;.*)?", re.DOTALL)


class TooLarge(Exception):
    """The body has more bytes than it may have."""


class Spool:
    """The bytes of a body, a file to be read from its beginning: in memory, or without a name in tempfile's folder."""

    refused: tuple[int, str] | None = None  # status and reason of a request whose body was not read
    _total, _lock = 0, threading.Lock()  # bytes of all of them on disk

    def __init__(self):
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - close() closes it
        self.size = self._on_disk = 0
        self.read, self.readline, self.readlines = self._file.read, self._file.readline, self._file.readlines

    def add(self, data: bytes) -> None:
        """Raises OSError where there is no room; all spools leave at least as much free as they take."""
        self.size += len(data)
        if self.size > IN_MEMORY:
            disk = os.statvfs(tempfile.gettempdir())
            with Spool._lock:
                if Spool._total > disk.f_bavail * disk.f_frsize:
                    raise OSError(errno.ENOSPC, "too many bodies are waiting on this disk")
                Spool._total += self.size - self._on_disk
            self._on_disk = self.size
        self._file.write(data)

    def rewind(self) -> None:
        self._file.seek(0)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def close(self) -> None:
        with Spool._lock:
            Spool._total -= self._on_disk
            self._on_disk = 0
        self._file.close()


class Chunks:
    """Takes a body in chunks apart (RFC 9112, 7.1), wherever it was cut on its way. Trailers are dropped."""

    done = False

    def __init__(self):
        self._left, self._in_trailers, self._after_chunk, self._trailers = 0, False, False, 0

    def take(self, buffer: bytearray) -> bytes:
        """Remove from the buffer what belongs to the body, and return its content. Raises gunicorn's errors."""
        content, self._at = [], 0
        while not self.done:
            if self._left:
                piece = bytes(buffer[self._at : self._at + self._left])
                if not piece:
                    break
                content.append(piece)
                self._at += len(piece)
                self._left -= len(piece)
                self._after_chunk = not self._left
            elif not self._take_line(buffer):
                break
        del buffer[: self._at]
        return b"".join(content)

    def _take_line(self, buffer: bytearray) -> bool:
        """Whether there was one, all of it: the end of a chunk, the size of the next, or a trailer."""
        end = buffer.find(b"\r\n", self._at, self._at + MAX_CHUNK_LINE + 2)
        if self._after_chunk and end != self._at and len(buffer) - self._at >= 2:
            raise ChunkMissingTerminator(bytes(buffer[self._at : self._at + 2]))
        if end < 0:
            if len(buffer) - self._at > MAX_CHUNK_LINE:
                raise InvalidChunkSize(b"a line of more than %d bytes" % MAX_CHUNK_LINE)
            return False
        line = bytes(buffer[self._at : end])
        self._at = end + 2
        if self._after_chunk:
            self._after_chunk = False
        elif self._in_trailers:
            self._drop_trailer(line)
        else:
            self._left = _chunk_size(line)
            self._in_trailers = not self._left
        return True

    def _drop_trailer(self, line: bytes) -> None:
        self._trailers += len(line)
        if self._trailers > MAX_TRAILERS:
            raise LimitRequestHeaders(f"trailers of more than {MAX_TRAILERS} bytes")
        if b"\n" in line or b"\r" in line:
            raise InvalidHeader("a bare line end in a trailer")
        self.done = not line


def _chunk_size(line: bytes) -> int:
    parts = CHUNK_SIZE.fullmatch(line)
    if parts is None:
        raise InvalidChunkSize(line)
    if parts[2] and not CHUNK_EXT_RE.fullmatch(parts[2]):
        raise InvalidChunkExtension("invalid chunk extension")
    return int(parts[1], 16)


class Incoming:
    """The requests of one connection, one after another."""

    def __init__(self, cfg, peer):
        self._cfg, self._peer, self._number = cfg, peer, 0
        self.buffer = bytearray()  # what has arrived and was not taken yet, of a next request too
        self.body: Spool | None = None
        self.reset()

    def reset(self) -> None:
        """The next request."""
        self.close()
        self._searched = 0
        self._number += 1
        self.request: Request | None = None
        self.length: int | None = 0  # of the body as its head announces it; None for one in chunks

    def close(self) -> None:
        if self.body is not None:
            self.body.close()
            self.body = None

    @property
    def block(self) -> int:
        """How many bytes to read at a time."""
        return BLOCK if self.body and self.length else SMALL_BLOCK

    def parse_head(self) -> bool:
        """Whether the head is here; `request` and `length` are known then. Raises gunicorn's errors.

        It is parsed once, by gunicorn's parser, which nobody else does: what it says is what everybody goes by.
        """
        end = self.buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(self.buffer)
        if max(end, self._searched if end < 0 else 0) > MAX_HEAD:
            raise LimitRequestHeaders(f"a head of more than {MAX_HEAD} bytes")
        if end < 0:
            return False
        head = bytes(self.buffer[: end + 4])
        del self.buffer[: end + 4]
        try:
            self.request = Request(self._cfg, IterUnreader([head]), self._peer, self._number)
        except NoMoreData as cut:
            raise InvalidRequestLine("") from cut
        if any(name == "TRANSFER-ENCODING" and value.lower() != "chunked" for name, value in self.request.headers):
            raise UnsupportedTransferCoding("Bodies are taken as they are, with Content-Length or in chunks.")
        reader = self.request.body.reader
        self.length = None if isinstance(reader, ChunkedReader) else reader.length
        return True

    def begin_body(self, limit: int) -> None:
        """From now on take_body() takes it, up to so many bytes."""
        self.body, self._limit, self._chunks = Spool(), limit, Chunks()

    def take_body(self) -> bool:
        """Whether the body is here, all of it. Raises TooLarge, OSError where there is no room, gunicorn's errors."""
        if self.length is not None:
            content = bytes(self.buffer[: self.length - self.body.size])
            del self.buffer[: len(content)]
            self._add(content)
            return self.body.size == self.length
        self._add(self._chunks.take(self.buffer))
        return self._chunks.done

    def refuse(self, status: int, reason: str) -> None:
        """Somebody says so to the client; the body is not read, and the connection ends with the response."""
        self.close()
        self.body, self.length = Spool(), 0
        self.body.refused = (status, reason)
        self.request.headers = [header for header in self.request.headers if header[0] != "CONTENT-TYPE"]
        self.request.force_close()

    def finish(self) -> Request:
        """The request as a thread gets it: with a body of a known length, and nothing left to ask the client."""
        framing = ("CONTENT-LENGTH", "TRANSFER-ENCODING", "EXPECT")
        self.request.headers = [header for header in self.request.headers if header[0] not in framing]
        self.request.headers.append(("CONTENT-LENGTH", str(self.body.size)))
        self.request._expected_100_continue = False  # gunicorn would answer it, again
        self.body.rewind()
        self.request.body = self.body
        return self.request

    def _add(self, content: bytes) -> None:
        if self.body.size + len(content) > self._limit:
            raise TooLarge
        if content:
            self.body.add(content)
