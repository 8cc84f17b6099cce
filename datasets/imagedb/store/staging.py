"""Files that appear in a folder all together, when they are complete, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = "building"


@contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """A folder inside `directory` to write into. A clean end moves its files up, durably; an error removes them.

    What a killed process left of an earlier attempt is removed first.
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
    """Remove what a killed process left of its files in `directory`."""
    shutil.rmtree(directory / _NAME, ignore_errors=True)


def _sync(path):
    """Make a file's content, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
