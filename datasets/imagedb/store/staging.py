"""Writes files so that they appear in a folder together when all are complete, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = "building"


@contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """A folder inside `directory` to write into. At the end its files are synced and moved up; after an error they are
    removed.

    Files that a killed process left from an earlier attempt are removed first.
    """
    aside = directory / _NAME
    directory.mkdir(parents=True, exist_ok=True)
    clear_away(directory)
    aside.mkdir()
    moved = []
    try:
        yield aside
        paths = sorted(aside.iterdir())
        for path in paths:
            _sync(path)
        for path in paths:
            moved.append(directory / path.name)
            path.replace(moved[-1])
        _sync(directory)
    except BaseException:
        for path in moved:
            path.unlink(missing_ok=True)
        raise
    finally:
        clear_away(directory)


def clear_away(directory: Path) -> None:
    """Remove unfinished files that a killed process left in `directory`."""
    shutil.rmtree(directory / _NAME, ignore_errors=True)


def _sync(path):
    """Sync a file's content or a folder's names to the disk, so that they survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
