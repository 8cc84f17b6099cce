"""Remembers the paths that are being written, so that a process that must end at once can first remove them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_paths: set[Path] = set()


@contextmanager
def partial(path: Path) -> Iterator[Path]:
    """Register `path` while the block writes it and renames it to its final name. A file left at `path` is removed."""
    _paths.add(path)
    try:
        yield path
    finally:
        _remove(path)
        _paths.discard(path)


def remove_all() -> None:
    """Remove all registered paths. The process must end right after."""
    for path in list(_paths):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
