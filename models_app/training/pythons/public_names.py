"""Imports an engine's libraries while the names of our packages are free.

Two of our packages, `datasets` and `inference`, have the names of public packages. A library that imports one of those
must get the public one, and our modules ours. So the libraries are imported first, with our packages and our folder out
of the way. They keep what they imported; then our names are ours again.
"""

from __future__ import annotations

import importlib
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]
SHARED_NAMES = ("datasets", "inference")


def import_libraries(names: Sequence[str]) -> None:
    """Import these libraries, of which those that are imported already stay as they are. Raises ImportError or OSError
    if one of them does not load."""
    if missing := [name for name in names if name not in sys.modules]:
        with free_names():
            for name in missing:
                importlib.import_module(name)


@contextmanager
def free_names() -> Iterator[None]:
    """In the block `import datasets` finds the public package, if there is one. No other thread may import then."""
    ours = _take_out()
    folders = [entry for entry in sys.path if _is_our_folder(entry)]
    finders = [finder for finder in sys.meta_path if getattr(finder, "finds_our_packages", False)]
    sys.path[:] = [entry for entry in sys.path if entry not in folders]
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder not in finders]
    try:
        yield
    finally:
        sys.path[:0], sys.meta_path[:0] = folders, finders
        _take_out()
        sys.modules.update(ours)


def _take_out() -> dict[str, ModuleType]:
    """Remove the modules of these names from those that are imported, and return them."""
    taken = [name for name in sys.modules if name.partition(".")[0] in SHARED_NAMES]
    return {name: sys.modules.pop(name) for name in taken}


def _is_our_folder(entry: str) -> bool:
    """Whether an entry of sys.path is the folder of the project. If pip has installed the project, it lies among the
    packages of its environment, which must stay."""
    folder = Path(entry).resolve()
    return folder == ROOT and folder not in map(Path, (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
