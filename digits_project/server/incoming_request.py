"""A request while it arrives: first its head, then its body, which is kept in memory or on disk until a thread gets it.

Nothing here blocks: the web worker's loop passes the bytes as they arrive.
"""

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from typing import cast

from gunicorn.http import body as gunicorn_body
from gunicorn.http.body import Body, LengthReader
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

from digits_project.common.shared_memory.web_processes import shared

MAX_HEAD = 64 << 10  # bytes
MAX_CHUNK_LINE = 1 << 10  # bytes of a chunk's size with its extensions, or of one trailer
MAX_TRAILERS = 8 << 10  # bytes of all of them
IN_MEMORY = 64 << 10  # bytes of a body; a larger body is spooled to disk
BLOCK, SMALL_BLOCK = 1 << 20, 8 << 10  # bytes per read: of a body; of a head, or of chunks, which can be tiny
CHUNK_EXTENSIONS: re.Pattern[bytes] = vars(gunicorn_body)["CHUNK_EXT_RE"]  # as gunicorn's own reader checks them
CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})([ \t]*;.*)?", re.DOTALL)


class TooLarge(Exception):
    """The body is larger than its limit."""


class Spool:
    """The bytes of a body as a file: in memory, or an unnamed file in tempfile's folder."""

    refused: tuple[int, str] | None = None  # status and reason of a request whose body was not read

    def __init__(self):
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - close() closes it
        self.size = self._on_disk = 0
        self.read, self.readline, self.readlines = self._file.read, self._file.readline, self._file.readlines

    def add(self, data: bytes) -> None:
        """Append data. Raises OSError if the disk is full; all spools together leave as many bytes free as they
        take."""
        self.size += len(data)
        if self.size > IN_MEMORY:
            disk = os.statvfs(tempfile.gettempdir())
            added, self._on_disk = self.size - self._on_disk, self.size
            if shared().hold("spooled bodies", added) - added > disk.f_bavail * disk.f_frsize:
                raise OSError(errno.ENOSPC, "request bodies fill the disk")
        self._file.write(data)

    def rewind(self) -> None:
        self._file.seek(0)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def close(self) -> None:
        if self._on_disk:
            shared().hold("spooled bodies", -self._on_disk)
            self._on_disk = 0
        self._file.close()


class Chunks:
    """Decodes a chunked body (RFC 9112, 7.1) from pieces of any size. Trailers are dropped."""

    done = False

    def __init__(self):
        self._left, self._in_trailers, self._after_chunk, self._trailers = 0, False, False, 0

    def take(self, buffer: bytearray) -> bytes:
        """Remove the body's bytes from the buffer and return the decoded content. Raises gunicorn's exceptions."""
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
        """Remove a line: the end of a chunk, the size of the next, or a trailer. Returns False if it is incomplete."""
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
            raise InvalidHeader("a bare CR or LF in a trailer")
        self.done = not line


def _chunk_size(line: bytes) -> int:
    parts = CHUNK_SIZE.fullmatch(line)
    if parts is None:
        raise InvalidChunkSize(line)
    if parts[2] and not CHUNK_EXTENSIONS.fullmatch(parts[2]):
        raise InvalidChunkExtension("invalid chunk extension")
    return int(parts[1], 16)


class Head(Request):
    """gunicorn's request, with the type of an attribute that gunicorn sets without declaring it."""

    _expected_100_continue: bool  # whether gunicorn sends 100 Continue before the application reads the body


class Incoming:
    """The requests of one connection, one after another."""

    def __init__(self, cfg, peer):
        self._cfg, self._peer, self._number = cfg, peer, 0
        self.buffer = bytearray()  # data that has arrived and is not parsed yet, also of a next request
        self.body: Spool | None = None
        self.reset()

    def reset(self) -> None:
        """Start with the next request."""
        self.close()
        self._searched = 0
        self._number += 1
        self.request: Head | None = None
        self.length: int | None = 0  # Content-Length; None for a chunked body

    def close(self) -> None:
        if self.body is not None:
            self.body.close()
            self.body = None

    @property
    def block(self) -> int:
        """The number of bytes per read."""
        return BLOCK if self.body and self.length else SMALL_BLOCK

    def parse_head(self) -> bool:
        """Parse the head. Returns whether it is complete; then `request` and `length` are set. Raises gunicorn's
        exceptions.

        gunicorn's parser parses the head once, and all later code uses its result.
        """
        end = self.buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(self.buffer)
        if max(end, self._searched if end < 0 else 0) > MAX_HEAD:
            raise LimitRequestHeaders(f"headers of more than {MAX_HEAD} bytes")
        if end < 0:
            return False
        head = bytes(self.buffer[: end + 4])
        del self.buffer[: end + 4]
        try:
            self.request = request = Head(self._cfg, IterUnreader([head]), self._peer, self._number)
        except NoMoreData as cut:
            raise InvalidRequestLine("") from cut
        if any(name == "TRANSFER-ENCODING" and value.lower() != "chunked" for name, value in request.headers):
            raise UnsupportedTransferCoding(
                "A request's body must come with Content-Length or in chunks, without another Transfer-Encoding."
            )
        reader = request.body and request.body.reader
        self.length = reader.length if isinstance(reader, LengthReader) else None
        return True

    def begin_body(self, limit: int) -> None:
        """Begin to read the body, of at most `limit` bytes."""
        self.body, self._limit, self._chunks = Spool(), limit, Chunks()

    def take_body(self) -> bool:
        """Read the body. Returns whether it is complete. Raises TooLarge, OSError if the disk is full, or gunicorn's
        exceptions."""
        _, body = self._begun()
        if self.length is not None:
            content = bytes(self.buffer[: self.length - body.size])
            del self.buffer[: len(content)]
            self._add(body, content)
            return body.size == self.length
        self._add(body, self._chunks.take(self.buffer))
        return self._chunks.done

    def refuse(self, status: int, reason: str) -> None:
        """Refuse the request: the body is not read, the view sends this status, and the connection is closed."""
        self.close()
        self.body, self.length = Spool(), 0
        request, body = self._begun()
        body.refused = (status, reason)
        request.headers = [header for header in request.headers if header[0] != "CONTENT-TYPE"]
        request.force_close()

    def finish(self) -> Request:
        """The complete request for a thread, with a body of known length."""
        framing = ("CONTENT-LENGTH", "TRANSFER-ENCODING", "EXPECT")
        request, body = self._begun()
        request.headers = [header for header in request.headers if header[0] not in framing]
        request.headers.append(("CONTENT-LENGTH", str(body.size)))
        request._expected_100_continue = False  # otherwise gunicorn would send a second 100 Continue
        body.rewind()
        request.body = cast(Body, body)  # it has the methods by which the application reads a body
        return request

    def _begun(self) -> tuple[Head, Spool]:
        """The request and its body, after parse_head(), and begin_body() or refuse()."""
        if self.request is None or self.body is None:
            raise RuntimeError("The request's head has not been parsed, or its body not begun.")
        return self.request, self.body

    def _add(self, body: Spool, content: bytes) -> None:
        if body.size + len(content) > self._limit:
            raise TooLarge
        if content:
            body.add(content)
