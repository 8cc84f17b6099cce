"""What is being written and not yet whole, so that whoever has to end the process at once can remove it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_paths: set[Path] = set()


@contextmanager
def partial(path: Path) -> Iterator[Path]:
    """`path` is being written inside the block, which ends by renaming it. Whatever is left there after is removed."""
    _paths.add(path)
    try:
        yield path
    finally:
        _remove(path)
        _paths.discard(path)


def remove_all() -> None:
    """Remove everything that is being written. The process must end right after."""
    for path in list(_paths):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
