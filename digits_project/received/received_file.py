"""A file that a client sends in pieces, perhaps over several days: its folder on disk, and what may be done with it.

A folder of its own holds `content`, the bytes received so far, whose length is the upload's offset, and `about.json`,
who sends what. So a killed server loses nothing, and every web process sees the same. The folders are beside those of
the jobs, so that a job can take a file over without copying it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings

FOLDER = ".uploads"  # in the folder of the jobs
LIFETIME = 7 * 24 * 3600.0  # seconds after the last piece, finished or not
MAX_NAME = 255  # characters
BLOCK = 1 << 20
KEY = re.compile(r"[0-9a-f]{32}")


class WrongOffset(Exception):
    """A piece does not begin where the received bytes end, or is longer than what is missing."""


class Busy(Exception):
    """Another request is writing a piece of the same file."""


class WrongChecksum(Exception):
    """The bytes of a piece are not those that its checksum is of; none of them were kept."""


@dataclass(frozen=True)
class ReceivedFile:
    """A file of `length` bytes that `owner` sends, of which `offset` bytes are here.

    `name` is for people only; no path is made of it. `metadata` is what the client wants to get back.
    """

    key: str
    owner: str
    length: int
    name: str
    metadata: str = ""

    @property
    def folder(self) -> Path:
        return _folder() / self.key

    @property
    def content(self) -> Path:
        """The bytes that have arrived."""
        return self.folder / "content"

    @property
    def offset(self) -> int:
        """The number of bytes that have arrived, without a piece whose checksum has not been compared yet."""
        with suppress(FileNotFoundError, ValueError):  # ValueError: nothing of it has been written
            return int(self._unverified.read_text())
        return self.content.stat().st_size

    @property
    def is_complete(self) -> bool:
        return self.offset == self.length

    @property
    def expires_at(self) -> float:
        """The time after which it can be removed, in seconds since 1970."""
        return self.content.stat().st_mtime + LIFETIME

    def append(self, offset: int, piece: BinaryIO, size: int, checksum: tuple[Any, bytes] | None = None) -> int:
        """Append the `size` bytes of a piece that begins at `offset`, and return the new offset.

        `checksum` is a new hash object and the digest that the piece should have. Raises WrongOffset, Busy,
        WrongChecksum, or OSError if the disk is full; then the bytes that were written stay, unless there is a
        checksum.
        """
        with self._locked() as file:
            if offset != file.seek(0, os.SEEK_END) or offset + size > self.length:
                raise WrongOffset
            with self._verified(file, offset, checksum) as update:
                while size and (block := piece.read(min(size, BLOCK))):
                    file.write(block)
                    update(block)
                    size -= len(block)
            return file.tell()

    def delete(self) -> None:
        """Remove the file and its folder. It is renamed first, so that no process sees half of it."""
        renamed = self.folder.with_name(f"{self.key}.deleted")
        with suppress(FileNotFoundError):
            self.folder.rename(renamed)
            shutil.rmtree(renamed)

    def hand_over(self, path: Path) -> None:
        """Make the content available at `path` too, without copying it if both are on one file system."""
        try:
            os.link(self.content, path)
        except OSError as other_disk:
            if other_disk.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            shutil.copyfile(self.content, path)

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        """The opened content; the kernel ends the lock with the process."""
        with self.content.open("r+b", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy from None
            os.truncate(file.fileno(), self.offset)  # what a killed process wrote and did not verify
            self._unverified.unlink(missing_ok=True)
            yield file

    @contextmanager
    def _verified(self, file, offset, checksum) -> Iterator[Callable[[bytes], object]]:
        """Yields a function to call with every block that is written; a piece with a wrong checksum is removed."""
        if checksum is None:
            yield lambda block: None
            return
        running, expected = checksum
        self._unverified.write_text(str(offset))
        try:
            yield running.update
            if running.digest() != expected:
                raise WrongChecksum
        except BaseException:
            file.truncate(offset)
            raise
        finally:
            self._unverified.unlink(missing_ok=True)

    @property
    def _unverified(self) -> Path:
        """A file with the offset of a piece whose checksum has not been compared yet."""
        return self.folder / "unverified"


def begin(owner: str, length: int, name: str, metadata: str = "") -> ReceivedFile:
    """A new file without content."""
    received = ReceivedFile(secrets.token_hex(16), owner, length, name[:MAX_NAME], metadata)
    received.folder.mkdir(parents=True)
    (received.folder / "about.json").write_text(json.dumps(asdict(received)))
    received.content.touch(exist_ok=False)  # last: what has no content does not exist yet
    return received


def find(key: str) -> ReceivedFile | None:
    """The file with this key; None if there is none, or not any more."""
    if not KEY.fullmatch(key):
        return None
    folder = _folder() / key
    try:
        about = json.loads((folder / "about.json").read_text())
        (folder / "content").stat()
    except (OSError, ValueError):  # ValueError: the disk was full when it was begun
        return None
    return ReceivedFile(**about)


def all_received() -> list[ReceivedFile]:
    """All files that clients have begun to send, of every owner."""
    try:
        names = sorted(os.listdir(_folder()))  # noqa: PTH208 - names, not paths
    except FileNotFoundError:
        return []
    return [received for name in names if (received := find(name))]


def received_from(owner: str) -> list[ReceivedFile]:
    return [received for received in all_received() if received.owner == owner]


def promised_bytes(owner: str) -> int:
    """The bytes on disk that the files of an owner take when they are complete."""
    return sum(received.length for received in received_from(owner))


def missing_bytes() -> int:
    """The bytes that clients have announced and not sent yet."""
    return sum(received.length - received.offset for received in all_received())


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder for working files, removed at the end; after a crash remove_expired() removes it."""
    _folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_folder(), ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def remove_expired() -> None:
    """Remove files that were neither continued nor used for a week, and what killed processes left."""
    with suppress(FileNotFoundError):
        for folder in list(_folder().iterdir()):
            with suppress(OSError):  # a request has removed it meanwhile
                if time.time() - _last_change(folder) > LIFETIME:
                    shutil.rmtree(folder)


def _last_change(folder: Path) -> float:
    content = folder / "content"
    return (content if content.exists() else folder).stat().st_mtime


def _folder() -> Path:
    return settings.DIGITS_JOBS_DIR / FOLDER
