"""Generates archives while they are sent; only one block of a file is in memory. Plain Python."""

import bz2
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Protocol

from digits_project.common.shared_memory.host_lock import one_of
from digits_project.common.shared_memory.web_processes import shared

BLOCK = 1 << 18  # bytes per read
GZIP = 16 + zlib.MAX_WBITS  # makes zlib write gzip's header
FAST = 1  # weights hardly shrink, so higher levels only take longer
DOS_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip; constant, so the same archive has the same bytes


@dataclass(frozen=True)
class StreamMember:
    """A file of an archive: its name, its content and its size in bytes."""

    name: str
    content: BinaryIO
    size: int

    def blocks(self) -> Iterator[bytes]:
        while block := self.content.read(BLOCK):
            yield block


class Compressor(Protocol):
    """The interface of the compressors of zlib, bz2 and lzma."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Uncompressed:
    """The compressor that does nothing."""

    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class ArchiveStream:
    """The bytes of an archive, as an iterator. The caller must close it, even if it was not iterated."""

    def __init__(self, form: str, members: Sequence[StreamMember]):
        self._form = form
        self._members = members

    def __iter__(self) -> Iterator[bytes]:
        blocks = FORMS[self._form].write(self._members)
        while (block := _next(blocks)) is not None:
            if block:
                yield block

    def close(self) -> None:
        for member in self._members:
            member.content.close()


def _next(blocks: Iterator[bytes]) -> bytes | None:
    """The next block, compressed as soon as a core is free for it; None at the end."""
    with one_of(shared().compressing):
        return next(blocks, None)


@dataclass(frozen=True)
class ArchiveFormat:
    """A function that writes an archive, and its media type."""

    write: Callable[[Sequence[StreamMember]], Iterator[bytes]]
    media_type: str


def _tar(compressor: Callable[[], Compressor]) -> Callable[[Sequence[StreamMember]], Iterator[bytes]]:
    def write(members: Sequence[StreamMember]) -> Iterator[bytes]:
        compress = compressor()
        for block in _tar_blocks(members):
            yield compress.compress(block)
        yield compress.flush()

    return write


def _tar_blocks(members: Sequence[StreamMember]) -> Iterator[bytes]:
    """POSIX ustar (IEEE 1003.1): a header of 512 bytes, the content padded to 512; two empty blocks at the end."""
    for member in members:
        header = tarfile.TarInfo(member.name)
        header.size = member.size
        header.mode = 0o755 if member.name == "classify.py" else 0o644
        yield header.tobuf(tarfile.PAX_FORMAT)
        yield from member.blocks()
        yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _zip(members: Sequence[StreamMember]) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=FAST) as archive:
        for member in members:
            entry = zipfile.ZipInfo(member.name, DOS_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16  # the permissions of a Unix file
            entry.file_size = member.size  # zipfile chooses the 64-bit form by it
            with archive.open(entry, "w") as file:
                for block in member.blocks():
                    file.write(block)
                    yield sink.taken()
            yield sink.taken()
    yield sink.taken()


class _Sink:
    """A file that can't seek; taken() returns and clears what was written."""

    def __init__(self):
        self._written = BytesIO()

    def write(self, data: bytes) -> int:
        return self._written.write(data)

    def flush(self) -> None:
        """Do nothing: what is written is there at once."""

    def close(self) -> None:
        """Do nothing: the content stays until taken() returns it."""

    def taken(self) -> bytes:
        data = self._written.getvalue()
        self._written = BytesIO()
        return data


GZIPPED = ArchiveFormat(_tar(lambda: zlib.compressobj(FAST, wbits=GZIP)), "application/gzip")
FORMS = {
    "tar": ArchiveFormat(_tar(Uncompressed), "application/x-tar"),
    "tar.gz": GZIPPED,
    "tgz": GZIPPED,
    "tar.bz2": ArchiveFormat(_tar(bz2.BZ2Compressor), "application/x-bzip2"),
    "zip": ArchiveFormat(_zip, "application/zip"),
}
