"""Computes and caches SHA-256 digests of files; a file is hashed again only if it was replaced or changed.

Hashing takes as long as reading the file, and a classifier can be used thousands of times an hour.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MAX_REMEMBERED = 4096  # files
BLOCK = 1 << 20


class State(NamedTuple):
    """Values that change when a file is replaced or written to. The ctime can't be set back; the mtime can."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: Path) -> State:
        """The state of a file now. Raises OSError."""
        stat = path.stat()
        return cls(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _nothing() -> None:
    """The default `tick`: does nothing."""


def sha256(path: Path, tick: Callable[[], object] = _nothing) -> str:
    """The SHA-256 of a file in hex. `tick` is called for each block; its exceptions pass through. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            tick()
    return digest.hexdigest()


def remembered_sha256(path: Path, state: State, tick: Callable[[], object] = _nothing) -> str:
    """The SHA-256 of a file in hex, from a cache if it was computed for this file in this state. Like sha256()."""
    found = _remembered.get((path, state))
    if found is None:
        found = sha256(path, tick)
        if len(_remembered) >= MAX_REMEMBERED:
            _remembered.clear()
        _remembered[path, state] = found
    return found


_remembered: dict[tuple[Path, State], str] = {}
