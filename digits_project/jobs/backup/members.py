"""Reads the members of a backup's tar safely; the tar is treated as hostile.

tarfile trusts the headers of an archive: it reads a header of any length into memory, follows extended headers to any
depth, and raises assorted exceptions for numbers that are out of range. Here such a tar raises NotWhole with a message.
"""

import contextlib
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import IO

MAX_TEXT_BYTES = 8 * 2**20  # of a manifest; enough for 250,000 jobs
MAX_HEADER_BYTES = 16 * 2**10  # of an extended header; the longest path has 4 KiB
MAX_TIME = 2**33  # seconds since 1970: in the year 2242
PLAIN = (tarfile.REGTYPE, tarfile.DIRTYPE)
# tarfile and json raise these for an index, a number or a depth that is out of range.
UNFIT = (tarfile.TarError, ValueError, TypeError, LookupError, OverflowError, RecursionError, MemoryError)


class NotWhole(Exception):
    """The file is not a complete backup; the text says why."""


# tarfile's own method; that this module can't be loaded without it is better than a tar whose headers go unchecked.
PROCESS_MEMBER: Callable[[tarfile.TarInfo, tarfile.TarFile], tarfile.TarInfo] = vars(tarfile.TarInfo)["_proc_member"]


class BackupMember(tarfile.TarInfo):
    """A tar member with headers of limited length."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        """Check the length of a header; tarfile calls this for every header before it reads the data."""
        if self.type not in PLAIN and not 0 <= self.size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header is too long")
        return PROCESS_MEMBER(self, tar)


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Turn the exceptions of a broken or hostile tar into NotWhole."""
    try:
        yield
    except (FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise NotWhole("it holds a name twice, or a file outside of the folders that it holds") from error
    except RecursionError as error:
        raise NotWhole("its headers or its manifest are nested too deeply") from error
    except UNFIT as error:
        raise NotWhole(printable(str(error)) or type(error).__name__) from error


def check_plain(member: tarfile.TarInfo) -> None:
    """Raise ValueError unless the member is a file or a folder as the backup writes them."""
    if member.type not in PLAIN or member.issparse():
        raise ValueError(f"{printable(member.name)} is neither a regular file nor a folder")
    if not 0 <= member.mtime < MAX_TIME:  # a comparison with NaN is false
        raise ValueError(f"{printable(member.name)} has an impossible modification time")
    if member.size < 0:
        raise ValueError(f"{printable(member.name)} has a size below 0")


def open_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """The content of a file in the tar. Raises ValueError for a member of another type."""
    content = tar.extractfile(member)
    if content is None:
        raise ValueError(f"{printable(member.name)} is not a file")
    return content


def read_text(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict:
    """The JSON object in a member."""
    check_plain(member)
    if not member.isreg() or member.size > MAX_TEXT_BYTES:
        raise ValueError(f"{printable(member.name)} is not a text of at most {MAX_TEXT_BYTES >> 20} MiB")
    content = json.loads(open_member(tar, member).read())
    if not isinstance(content, dict):
        raise ValueError(f"{printable(member.name)} does not hold a JSON object")
    return content


def check_manifest(manifest: dict) -> None:
    """Raise ValueError or KeyError unless the fields have the types that the backup writes."""
    for name, kind in (("jobs", str), ("migrations", str)):
        if not isinstance(manifest[name], list) or not all(isinstance(entry, kind) for entry in manifest[name]):
            raise ValueError(f"the manifest's {name} is not a list of texts")
    if not isinstance(manifest["records"], bool):
        raise ValueError("the manifest's records is neither true nor false")
    datetime.fromisoformat(manifest["made_at"])


def printable(text: str) -> str:
    """A text from the tar with control characters escaped, for a terminal."""
    return re.sub(r"[^\x20-\x7e]", "?", text[:200])
