"""A folder as one tar file that is never written: its bytes are made when they are sent.

The same folder always gives the same bytes, so an upload can go on after an interruption, also in another process.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

BLOCK = tarfile.BLOCKSIZE
LITTER = ("__MACOSX", "Thumbs.db", "desktop.ini")  # what file managers leave behind; so are names with a dot in front


class Source(Protocol):
    """What can be uploaded: `length` bytes, any of which can be read at any time."""

    name: str
    length: int
    fingerprint: str  # differs if the content does, as far as times and sizes show

    def read(self, offset: int, size: int) -> bytes: ...


class FileSource:
    """A file of this computer."""

    def __init__(self, path: Path):
        facts = path.stat()
        self._path = path
        self.name = path.name
        self.length = facts.st_size
        self.fingerprint = _digest([f"{path.name}\0{facts.st_size}\0{facts.st_mtime_ns}"])

    def read(self, offset: int, size: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(offset)
            return _whole(file.read(size), size, self._path)


@dataclass(frozen=True)
class Member:
    """A file of the tar: where its header begins there, its path in the folder, and its size."""

    begin: int
    path: str
    size: int

    def header(self) -> bytes:
        """The header, with another one in front for a path that is long or not in ASCII."""
        info = tarfile.TarInfo(self.path)
        info.size = self.size
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


class FolderTar:
    """The tar of all files below a folder, in the order of their paths. Raises FileNotFoundError if there are none."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._members: list[Member] = []
        seen: list[str] = []
        end = 0
        for path in sorted(_files_below(folder)):
            facts = (folder / path).stat()
            member = Member(end, path, facts.st_size)
            self._members.append(member)
            seen.append(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}")
            end += len(member.header()) + _padded(facts.st_size)
        if not self._members:
            raise FileNotFoundError(f"There are no files in the folder {folder}.")
        self._begins = [member.begin for member in self._members]
        self._end = end
        self.name = f"{folder.resolve().name or 'folder'}.tar"
        self.length = end + 2 * BLOCK
        self.fingerprint = _digest(seen)

    def __len__(self) -> int:
        """The number of files."""
        return len(self._members)

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from `offset` on, at most `size` of them."""
        last = min(offset + size, self.length)
        parts: list[bytes] = []
        index = bisect_right(self._begins, offset) - 1
        while offset < min(last, self._end):
            part = self._part(self._members[index], offset, last)
            parts.append(part)
            offset += len(part)
            index += 1
        return b"".join([*parts, bytes(last - offset)])

    def _part(self, member: Member, offset: int, last: int) -> bytes:
        """The bytes of one member from `offset` to `last`, as far as it goes."""
        header = member.header()
        inside = offset - member.begin
        room = last - offset
        part = header[inside : inside + room]
        content_at = max(0, inside - len(header))
        if len(part) < room and content_at < member.size:
            part += self._content(member, content_at, min(room - len(part), member.size - content_at))
        padding = len(header) + _padded(member.size) - inside - len(part)
        return part + bytes(min(padding, room - len(part)))

    def _content(self, member: Member, offset: int, size: int) -> bytes:
        path = self._folder / member.path
        with path.open("rb") as file:
            file.seek(offset)
            return _whole(file.read(size), size, path)


def _files_below(folder: Path) -> Iterator[str]:
    """The paths of all files, relative to the folder and with slashes. Links to folders are followed, but each folder
    is read only once, under its own name if that is in the folder too."""
    entered: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        wanted = [name for name in folders if not _is_litter(name)]
        folders[:] = sorted(wanted, key=lambda name: (Path(parent, name).is_symlink(), name))
        inside = Path(parent).relative_to(folder)
        for name in files:
            if not _is_litter(name) and (Path(parent) / name).is_file():
                yield (inside / name).as_posix()


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name in LITTER


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _whole(data: bytes, size: int, path: Path) -> bytes:
    if len(data) != size:
        raise OSError(f"{path} has become shorter while it was sent. Send it again.")
    return data


def _digest(lines: list[str]) -> str:
    text = "\n".join(lines).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:32]
