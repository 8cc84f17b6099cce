"""Unpacks an archive of images (zip or tar), which is treated as hostile.

Only images, recognised by their first bytes, are written, into a folder of their own. Links, devices, names that lead
elsewhere, duplicate names and members beyond the limits make the whole archive invalid. No library extracts anything by
itself.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.images.size_limits import MAX_BYTES
from datasets.imagedb.readers import archive_tar, archive_zip
from datasets.imagedb.readers.archive_member import ArchiveMember, BadArchive
from datasets.imagedb.readers.unread_files import HEAD_BYTES, is_named_otherwise, judge
from digits_project.common.confined_files import Outside, open_file
from digits_project.common.errors import BadInput

KINDS = "zip, tar, tar.gz or tar.bz2"
_BLOCK = 1 << 20
_SAMPLES, _MAX_SAMPLE, _MAX_SAMPLED_BYTES = 9, 16 << 20, 256 << 20  # images of a folder, bytes of one, and of all
_LITTER = ("__MACOSX",)  # macOS adds it to every zip


@dataclass(frozen=True)
class Limits:
    """Limits of an archive's unpacked size: in bytes, and beyond the first gigabyte as a multiple of the archive's
    size."""

    entries: int = 2_000_000
    total: int = 256 << 30
    ratio: int = 100
    free: int = 1 << 30
    depth: int = 16
    name_bytes: int = 1024

    def most_bytes(self, size: int) -> int:
        return min(self.total, self.free + self.ratio * size)


def members_of(file: BinaryIO):
    """The function that reads the members of this file, as archive_zip.reader() gives it; None if the file does not
    begin like an archive. The file is read from its start, and is there afterwards."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    return archive_zip.reader(head) or archive_tar.reader(head)


def is_archive(path: Path, roots: Sequence[Path]) -> bool:
    """Whether the path is a readable file that begins like an archive."""
    try:
        with open_file(path, roots) as file:
            return members_of(file) is not None
    except (OSError, Outside):
        return False


def check(file: BinaryIO, name: str) -> None:
    """Raise BadInput if the file does not begin like an archive."""
    if members_of(file) is None:
        raise BadInput(f"{name} is not an archive. Send a {KINDS} with one folder for each category.")


def unpack(
    path: Path, name: str, into: Path, log: BuildLog, at: Callable[[float], None],
    roots: Sequence[Path], limits: Limits = Limits(),
) -> Path:  # fmt: skip
    """Write the images of an archive below `into`, a new folder. Returns the folder that holds the categories.

    That is `into`, or the innermost of nested single folders that contains folders. `at(fraction)` is called for every
    block; its exceptions pass through. Raises BadInput with the names of archive and member.
    """
    try:
        file = open_file(path, roots)
    except OSError as error:
        raise BadInput(f"{name} can't be read: {error.strerror}.") from error
    with file:
        _run(Unpacking(into, log, limits), file, name, at)
    return top(into)


def unpack_samples(
    file: BinaryIO, name: str, into: Path, log: BuildLog, at: Callable[[float], None], whole: set[str],
    limits: Limits = Limits(),
) -> None:  # fmt: skip
    """Like unpack(), but of most images only the first bytes are written, which show what they are. The paths of some
    images of each folder, which are complete, are added to `whole`. After an exception of `at`, what was written so far
    can be used."""
    _run(Sampling(into, log, limits, whole), file, name, at)


def _run(unpacking: Unpacking, file: BinaryIO, name: str, at: Callable[[float], None]) -> None:
    reader = members_of(file)
    if reader is None:
        check(file, name)
    unpacking.into.mkdir()
    try:
        unpacking.run(reader, file, _passing(at))
    except BadArchive as bad:
        raise BadInput(f"{name} can't be used: {bad}.") from bad
    except _Passing as passing:
        raise passing.error from None


class _Passing(BaseException):
    """Carries an exception of `at` through the libraries; it has nothing to do with the archive."""

    def __init__(self, error: Exception):
        super().__init__()
        self.error = error


def _passing(at):
    def called(fraction: float) -> None:
        try:
            at(fraction)
        except Exception as error:
            raise _Passing(error) from error

    return called


def top(folder: Path) -> Path:
    """The folder that holds the categories: `folder`, or the innermost of nested single folders that holds folders."""
    while True:
        inside = [path for path in folder.iterdir() if path.is_dir()]
        if len(inside) != 1 or not any(path.is_dir() for path in inside[0].iterdir()):
            return folder
        folder = inside[0]


class Unpacking:
    """The unpacking of one archive."""

    def __init__(self, into: Path, log: BuildLog, limits: Limits):
        self.into = into
        self._log = log
        self._limits = limits
        self._entries = 0
        self._guessed = ""
        self._folders: set[Path] = set()

    def run(self, reader, file: BinaryIO, at: Callable[[float], None]) -> None:
        size = os.fstat(file.fileno()).st_size
        for member in reader(file, self._limits.most_bytes(size), at):
            self._entries += 1
            if self._entries > self._limits.entries:
                raise BadArchive(f"it has more than {self._limits.entries:,} entries")
            parts = self._checked_parts(member)
            self._guessed = self._guessed or (member.guessed if member.guessed != "utf-8" else "")
            if member.is_folder or not parts or parts[0] in _LITTER or any(part.startswith(".") for part in parts):
                continue
            self._take(member, parts)
        if self._guessed:
            self._log.warn(
                f"{self.into} does not say how its names are encoded; they were read as {self._guessed}. If they "
                "look wrong, pack the archive with names in UTF-8 (7-Zip: cu=on), or as tar."
            )

    def _checked_parts(self, member: ArchiveMember) -> list[str]:
        """The parts of a member's path, checked; [] for the top itself."""
        name, limits = member.name, self._limits
        if "\0" in name or "\\" in name:
            raise BadArchive(f"{member} has a backslash or a zero byte in its name")
        if name.startswith("/"):
            raise BadArchive(f"{member} has an absolute path as its name")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise BadArchive(f"{member} leads out of the archive")
        lengths = [len(part.encode("utf-8", "surrogateescape")) for part in parts]
        if sum(lengths) > limits.name_bytes or max(lengths, default=0) > 255 or len(parts) > limits.depth:
            raise BadArchive(
                f"{member} has a name of more than {limits.name_bytes} bytes, or lies more than {limits.depth} "
                "folders deep"
            )
        return parts

    def _take(self, member: ArchiveMember, parts: list[str]) -> None:
        """Write a member that is an image; log any other unless it is plainly something else."""
        head = member.read(HEAD_BYTES)
        path = self.into.joinpath(*parts)
        is_image, reason = judge(path.name, head)
        if member.size > MAX_BYTES or not is_image:
            if member.size > MAX_BYTES and not is_named_otherwise(path.name):
                reason = f"more than {MAX_BYTES >> 20} MiB"
            if reason:
                self._log.skip(str(path), reason)
            return
        with os.fdopen(self._new_file(member, path), "wb", buffering=0) as file:
            file.write(head)
            self._copy(member, path, file)

    def _copy(self, member: ArchiveMember, path: Path, file: BinaryIO) -> None:
        """Write what follows the first bytes of an image."""
        while block := member.read(_BLOCK):
            file.write(block)

    def _new_file(self, member, path):
        try:
            if path.parent not in self._folders:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._folders.add(path.parent)
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except (FileExistsError, NotADirectoryError) as error:
            raise BadArchive(f"{member} is in it twice, or is both a file and a folder") from error


class Sampling(Unpacking):
    """An unpacking of which only some images of each folder are whole."""

    def __init__(self, into: Path, log: BuildLog, limits: Limits, whole: set[str]):
        super().__init__(into, log, limits)
        self._whole = whole
        self._of_folder: Counter[Path] = Counter()
        self._left = _MAX_SAMPLED_BYTES

    def _copy(self, member, path, file):
        if self._of_folder[path.parent] < _SAMPLES and member.size <= min(_MAX_SAMPLE, self._left):
            self._of_folder[path.parent] += 1
            self._left -= member.size
            super()._copy(member, path, file)
            self._whole.add(str(path))
