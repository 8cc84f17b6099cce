"""The members of a backup's tar, read one after the other from a file that anybody may have made.

tarfile trusts the headers of an archive: it takes a header of any length into memory, follows one extended header from
the next as deep as they come, and raises whatever Python raises for a number that is too large. Here such a tar is a
NotWhole, which says what is wrong.
"""

import contextlib
import json
import re
import tarfile
from collections.abc import Iterator
from datetime import datetime

MAX_TEXT_BYTES = 8 * 2**20  # of a manifest: a quarter of a million jobs
MAX_HEADER_BYTES = 16 * 2**10  # of an extended header; the longest path has 4 KiB
MAX_TIME = 2**33  # seconds since 1970: a moment in the year 2242
PLAIN = (tarfile.REGTYPE, tarfile.DIRTYPE)
# What tarfile and json raise for what they were not made for: an index, a number or a depth that is out of range.
UNFIT = (tarfile.TarError, ValueError, TypeError, LookupError, OverflowError, RecursionError, MemoryError)


class NotWhole(Exception):
    """The file is no whole backup; the text says why."""


class BackupMember(tarfile.TarInfo):
    """A member whose headers are of a bearable length."""

    def _proc_member(self, tar):
        """tarfile calls it for every header, before it reads what belongs to it."""
        if self.type not in PLAIN and not 0 <= self.size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header is too long")
        return super()._proc_member(tar)


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Raise NotWhole for what a tar that is none, or one that was made to do harm, brings about."""
    try:
        yield
    except (FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise NotWhole("it holds the same name twice, or a file outside of a folder that it holds") from error
    except RecursionError as error:
        raise NotWhole("its headers or its manifest are nested too deeply") from error
    except UNFIT as error:
        raise NotWhole(printable(str(error)) or type(error).__name__) from error


def check_plain(member: tarfile.TarInfo) -> None:
    """Raise ValueError unless it is a file or a folder as backup writes them."""
    if member.type not in PLAIN or member.issparse():
        raise ValueError(f"{printable(member.name)} is neither a file nor a folder")
    if not 0 <= member.mtime < MAX_TIME:  # a comparison with NaN is false
        raise ValueError(f"{printable(member.name)} has an impossible time of change")
    if member.size < 0:
        raise ValueError(f"{printable(member.name)} has a size below 0")


def read_text(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict:
    """A member that holds a JSON object."""
    check_plain(member)
    if not member.isreg() or member.size > MAX_TEXT_BYTES:
        raise ValueError(f"{printable(member.name)} is no text of at most {MAX_TEXT_BYTES >> 20} MiB")
    content = json.loads(tar.extractfile(member).read())
    if not isinstance(content, dict):
        raise ValueError(f"{printable(member.name)} holds no JSON object")
    return content


def check_manifest(manifest: dict) -> None:
    """Raise ValueError or KeyError unless its fields are of the types that backup writes."""
    for name, kind in (("jobs", str), ("migrations", str)):
        if not isinstance(manifest[name], list) or not all(isinstance(entry, kind) for entry in manifest[name]):
            raise ValueError(f"the manifest's {name} is no list of texts")
    if not isinstance(manifest["records"], bool):
        raise ValueError("the manifest's records is neither true nor false")
    datetime.fromisoformat(manifest["made_at"])


def printable(text: str) -> str:
    """A text out of the tar as a terminal may have it."""
    return re.sub(r"[^\x20-\x7e]", "?", text[:200])
