"""Reads the members of a zip."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from datasets.imagedb.readers.archive_member import ArchiveMember, BadArchive, Budget, reading, shown
from datasets.imagedb.readers.zip_names import alphabet, is_marked, name_of

_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_MAX_AT_ONCE = 64 << 20  # of the central directory, which is held in memory; enough for 500,000 names
_ENCRYPTED = 1


def reader(head: bytes):
    """The function that reads a zip's members, if a file with this beginning is a zip; else None."""
    return _members if head.startswith(_SIGNATURES) else None


def _members(file: BinaryIO, most: int, at: Callable[[float], None]) -> Iterator[ArchiveMember]:
    """Every member in the order of the central directory. Raises BadArchive."""
    budget, done = Budget(most), 0
    with reading("it"):
        archive = ZipFile(_Bounded(file))
    with archive:
        entries = archive.infolist()
        encoding = alphabet(entries)
        total = sum(entry.compress_size for entry in entries) or 1
        for entry in entries:
            at(min(done / total, 1.0))
            name = name_of(entry, encoding)
            member = _member(archive, entry, name, budget, at, done, total)
            yield replace(member, guessed="" if name.isascii() or is_marked(entry) else encoding)
            done += entry.compress_size


def _member(archive, entry: ZipInfo, name: str, budget, at, done, total) -> ArchiveMember:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadArchive(f"{shown(name)} is a link or a device; an archive can hold only files and folders")
    if name.endswith("/"):
        return ArchiveMember(name, 0, True, lambda count: b"")
    if entry.flag_bits & _ENCRYPTED:
        raise BadArchive(f"{shown(name)} is encrypted")
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # other methods can grow a millionfold in one step
        raise BadArchive(f"{shown(name)} uses an unsupported compression; store or deflate it")
    opened: list[Any] = []

    def read(count: int) -> bytes:
        at(min(done / total, 1.0))
        with reading(shown(name)):
            if not opened:
                opened.append(archive.open(entry))
            data = opened[0].read(count)
        budget.spend(len(data))
        return data

    return ArchiveMember(name, entry.file_size, False, read)


class _Bounded:
    """A file with a limit on each read; zipfile reads a central directory of any size at once."""

    def __init__(self, file: BinaryIO):
        self.seek, self.tell = file.seek, file.tell
        self.seekable = file.seekable
        self._read = file.read

    def read(self, count: int = -1) -> bytes:
        if count > _MAX_AT_ONCE:
            raise BadArchive(f"its directory takes more than {_MAX_AT_ONCE >> 20} MiB; make a tar of so many files")
        return self._read(_MAX_AT_ONCE if count < 0 else count)
