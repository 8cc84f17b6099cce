"""Reads the members of a tar, plain or compressed with gzip or bzip2, in one pass."""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Callable, Iterator
from functools import partial
from tarfile import BLOCKSIZE, TarFile
from typing import Any, BinaryIO, cast

from datasets.imagedb.readers.archive_member import ArchiveMember, BadArchive, Budget, reading, shown

_MAGIC, _MAGIC_AT = b"ustar", 257
_MAX_OF_A_HEADER = 1 << 20  # bytes, with its extended headers; names are held in memory
_BLOCK = 1 << 20


def reader(head: bytes):
    """The function that reads a tar's members, if a file with this beginning is or can contain a tar; else None."""
    if head.startswith(b"\x1f\x8b"):
        return partial(_members, lambda file: gzip.GzipFile(fileobj=file))
    if head.startswith(b"BZh"):
        return partial(_members, bz2.BZ2File)
    if head[_MAGIC_AT:].startswith(_MAGIC):
        return partial(_members, lambda file: file)
    return None


def _members(decompressed, file: BinaryIO, most: int, at: Callable[[float], None]) -> Iterator[ArchiveMember]:
    """Every member in order. A member must be read before the next one is taken. Raises BadArchive."""
    size = file.seek(0, os.SEEK_END) or 1  # an upload can be in memory, without a file descriptor
    file.seek(0)
    with decompressed(file) as source:
        stream = _Forward(source, Budget(most), lambda: at(min(file.tell() / size, 1.0)))
        with reading("it"):
            archive: Any = TarFile(fileobj=cast(BinaryIO, stream), errorlevel=2)
        last = "its beginning"
        while entry := _next(archive, stream, last):
            archive.members.clear()  # tarfile would keep them all
            last = shown(entry.name)
            if not (entry.isfile() or entry.isdir()) or entry.issparse():
                raise BadArchive(
                    f"{last} is a link, a device or a sparse file; an archive can hold only files and folders"
                )
            if entry.size < 0:
                raise BadArchive(f"{last} has a negative size")
            yield ArchiveMember(entry.name, entry.size, entry.isdir(), stream.part(last, entry.size))
        if stream.last_header != bytes(BLOCKSIZE):  # tarfile treats an invalid header as the end
            raise BadArchive(f"it is damaged or cut short after {last}")


def _next(archive, stream, last):
    stream.begin_header()
    with reading(f"what follows {last}"):
        return archive.next()


class _Forward:
    """A forward-only stream for tarfile, which can step back one byte; the size of headers is limited."""

    def __init__(self, source: BinaryIO, budget: Budget, tick: Callable[[], None]):
        self._source = source
        self._budget = budget
        self._tick = tick
        self._position = 0
        self._back = b""  # the last byte, if it is read again
        self._last = b""
        self._header_left = _MAX_OF_A_HEADER
        self.last_header = b""

    def begin_header(self) -> None:
        self._header_left = _MAX_OF_A_HEADER

    def tell(self) -> int:
        return self._position

    def read(self, count: int) -> bytes:
        """Read bytes of a header."""
        self._header_left -= count
        if not 0 <= count <= _MAX_OF_A_HEADER or self._header_left < 0:
            raise BadArchive(f"a header takes more than {_MAX_OF_A_HEADER >> 20} MiB")
        data = self._taken(count)
        if count == BLOCKSIZE:
            self.last_header = data
        return data

    def seek(self, position: int) -> None:
        if position == self._position - 1 and self._last:
            self._back, self._position = self._last, position
        elif position < self._position:
            raise BadArchive("a member begins before the end of the previous one")
        while self._position < position and self._taken(min(_BLOCK, position - self._position)):
            pass

    def part(self, name: str, size: int) -> Callable[[int], bytes]:
        """A function that reads the next `size` bytes, the contents of a member."""
        end = self._position + size

        def read(count: int) -> bytes:
            with reading(name):
                data = self._taken(min(count, end - self._position))
            if not data and self._position < end:
                raise BadArchive(f"{name} is cut short")
            return data

        return read

    def _taken(self, count):
        """The next `count` bytes, fewer at the end of the stream."""
        self._tick()
        blocks, missing = [self._back[:count]], count - len(self._back[:count])
        self._back = self._back[count:]
        while missing and (block := self._source.read(missing)):
            blocks.append(block)
            missing -= len(block)
            self._budget.spend(len(block))
        data = b"".join(blocks)
        self._position += len(data)
        self._last = data[-1:] or self._last
        return data
