"""What the readers of zip and tar give: one member after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tarfile import TarError
from zipfile import BadZipFile
from zlib import error as ZlibError

from digits_project.common.errors import BadInput

# What the libraries raise for files that are damaged, or made to harm. Nothing is written while they read.
_DAMAGE = (
    TarError, BadZipFile, ZlibError, EOFError, OSError, ValueError, ArithmeticError, LookupError, RecursionError,
    NotImplementedError, RuntimeError, MemoryError,
)  # fmt: skip


class BadArchive(BadInput):
    """An archive that can't be used; the text says why, without the archive's name."""


@dataclass(frozen=True)
class ArchiveMember:
    """A file or a folder. `read(n)` gives its next bytes, n of them unless it ends, and b"" at its end.

    `guessed` is the encoding of its name where the archive names none.
    """

    name: str
    size: int
    is_folder: bool
    read: Callable[[int], bytes]
    guessed: str = ""

    def __str__(self):
        return shown(self.name)


def shown(name: str) -> str:
    """A member's name for a message, whatever it holds."""
    text = ascii(name) if not name.isprintable() else repr(name)
    return text if len(text) <= 200 else f"{text[:200]}…"


@contextmanager
def reading(what: str) -> Iterator[None]:
    """What a library raises for damage, as BadArchive."""
    try:
        yield
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).rstrip(".")[:200]
        raise BadArchive(f"{what} is damaged or cut short ({reason})") from error


class Budget:
    """The bytes that may still come out of an archive."""

    def __init__(self, most: int):
        self._most = self._left = most

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise BadArchive(f"it grows to more than {self._most:,} bytes")
