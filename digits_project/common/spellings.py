"""Finds files whose names have another Unicode form on disk: é is one character on Linux, two on macOS.

A list written on one system can name files that were copied through the other. If a name does not exist as written, a
name with the same NFC form is used.
"""

from __future__ import annotations

import os
import threading
import time
import unicodedata
from collections import OrderedDict

MAX_FOLDERS, MAX_NAMES = 64, 100_000  # cached folders, and names per folder
KEPT_SECONDS = 30.0  # a folder is listed again after that
_WAYPOINT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def on_disk(path: str) -> str:
    """The path, with each name that does not exist as written replaced by the disk's spelling.

    From the first name that exists in no spelling, the rest of the path does not change.
    """
    if path.isascii() or os.path.lexists(path):
        return path
    reached = "/" if path.startswith("/") else "."
    names = path.split("/")
    for position, name in enumerate(names):
        if not name.isascii():
            names[position] = name = _in_folder(reached, name)
        reached = os.path.join(reached, name)  # noqa: PTH118 - joins text; `..` and links keep open()'s meaning
    return "/".join(names)


def find_spelling(folder: int, name: str) -> str | None:
    """The other spelling of `name` in an open folder (O_PATH is enough); None if there is none.

    A name that is entirely NFC or NFD is found without listing the folder.
    """
    if name.isascii():
        return None
    composed = unicodedata.normalize("NFC", name)
    for other in (composed, unicodedata.normalize("NFD", name)):
        if other != name and _is_there(folder, other):
            return other
    return _mixtures.of(folder).get(composed)


def _in_folder(path, name):
    try:
        folder = os.open(path, _WAYPOINT)
    except (OSError, ValueError):
        return name
    try:
        return name if _is_there(folder, name) else find_spelling(folder, name) or name
    finally:
        os.close(folder)


def _is_there(folder, name):
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (OSError, ValueError):
        return False
    return True


class _Mixtures:
    """A cache of the names in folders that are neither entirely NFC nor entirely NFD."""

    def __init__(self):
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], tuple[float, dict[str, str]]] = OrderedDict()

    def of(self, folder: int) -> dict[str, str]:
        """{NFC: name} of an open folder, at most KEPT_SECONDS old."""
        status = os.fstat(folder)
        key = status.st_dev, status.st_ino
        with self._lock:
            until, names = self._kept.get(key, (0.0, {}))
            if time.monotonic() < until:
                return names
        names = _mixed_names(folder)
        with self._lock:
            self._kept[key] = (time.monotonic() + KEPT_SECONDS, names)
            self._kept.move_to_end(key)
            while len(self._kept) > MAX_FOLDERS:
                self._kept.popitem(last=False)
        return names


def _mixed_names(folder):
    try:
        listed = os.open(".", _LISTED, dir_fd=folder)
    except OSError:  # the folder can be entered but not read
        return {}
    found: dict[str, str] = {}
    try:
        with os.scandir(listed) as entries:
            for name in (entry.name for entry in entries if not entry.name.isascii()):
                composed = unicodedata.normalize("NFC", name)
                if name not in (composed, unicodedata.normalize("NFD", name)) and len(found) < MAX_NAMES:
                    found[composed] = min(name, found.get(composed, name))
    finally:
        os.close(listed)
    return found


_mixtures = _Mixtures()
os.register_at_fork(after_in_child=lambda: setattr(_mixtures, "_lock", threading.Lock()))
