"""The members that the readers of zip and tar yield, and the limits on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tarfile import TarError
from zipfile import BadZipFile
from zlib import error as ZlibError

from digits_project.common.errors import BadInput

# The libraries raise these for damaged or hostile files. Nothing is written while they read.
_DAMAGE = (
    TarError, BadZipFile, ZlibError, EOFError, OSError, ValueError, ArithmeticError, LookupError, RecursionError,
    NotImplementedError, RuntimeError, MemoryError,
)  # fmt: skip


class BadArchive(BadInput):
    """The archive can't be used; the text says why, without the archive's name."""


@dataclass(frozen=True)
class ArchiveMember:
    """A file or a folder. `read(n)` returns the next n bytes, fewer at the end, then b"".

    `guessed` is the encoding of its name if the archive does not declare one.
    """

    name: str
    size: int
    is_folder: bool
    read: Callable[[int], bytes]
    guessed: str = ""

    def __str__(self):
        return shown(self.name)


def shown(name: str) -> str:
    """A member's name for a message, shortened and escaped."""
    text = ascii(name) if not name.isprintable() else repr(name)
    return text if len(text) <= 200 else f"{text[:200]}…"


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn the exceptions that a library raises for damage into BadArchive."""
    try:
        yield
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).rstrip(".")[:200]
        raise BadArchive(f"{what} is damaged or cut short ({reason})") from error


class Budget:
    """Counts the unpacked bytes of an archive. Raises BadArchive beyond the limits."""

    def __init__(self, most: int):
        self._most = self._left = most

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise BadArchive(f"it grows to more than {self._most:,} bytes")
