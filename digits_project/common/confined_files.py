"""Opens the files that a user names by their path, only inside the allowed roots. Nothing else opens them.

`roots` are the folders whose files may be read; / among them allows every file. A path is followed one name at a time.
Each name is opened in the folder above it and never through a link; the target of a link must be under a root before it
is used. So the opened file is the checked one, even if another process replaces files meanwhile, and nobody can find
out which files exist outside of the roots.

`..` is removed from a path as text. A name that does not exist is searched in its other Unicode forms, in the same
folder. This module is at the bottom of the import graph: no Django here.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import BinaryIO

from digits_project.common.errors import BadInput
from digits_project.common.spellings import find_spelling, on_disk

EVERYWHERE = (Path("/"),)
_MAX_LINKS = 40  # as many as Linux follows
_MAX_SHOWN = 300  # characters of a path
_NO_FILE = "not a regular file"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ROOT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_WAYPOINT = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # without O_NONBLOCK, opening a pipe would block for ever


def unreadable(path: str | Path, error: OSError) -> BadInput:
    """The exception for a path that can't be opened; its text says what to do about missing permission."""
    if isinstance(error, PermissionError):
        return BadInput(f"{path} can't be read: permission denied. Let the server's user read it.")
    return BadInput(f"{path} can't be read: {error.strerror}.")


class Outside(BadInput):
    """The path is outside of the roots, or leads outside through a link. The text does not say which."""

    def __init__(self, path: str | Path, roots: Sequence[Path]):
        named = ", ".join(map(str, roots))
        super().__init__(
            f"{shown(path)} is not in a folder that this server may read ({named}); see DIGITS_DATA_ROOTS."
        )


def resolve(path: str | Path, roots: Sequence[Path]) -> Path:
    """The path with all links resolved, as far as it exists. Raises Outside, or OSError if it is not a valid path."""
    if _everywhere(roots):
        with _no_path_is_an_os_error():
            return Path(on_disk(str(path))).resolve()
    walk = _Walk(path, roots)
    try:
        walk.run()
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EINVAL):
            raise
    finally:
        walk.close()
    return Path(walk.reached, *walk.ahead)


def open_file(path: str | Path, roots: Sequence[Path]) -> BinaryIO:
    """Open a regular file for reading. Raises Outside, or OSError if it is missing, unreadable or not a regular
    file."""
    return BufferedReader(open_raw(path, roots))


def open_raw(path: str | Path, roots: Sequence[Path]) -> FileIO:
    """The same without a buffer, for small files that are read at once."""
    return _regular(_opened(path, roots, _FILE))


def open_entry(folder: int, name: str) -> FileIO:
    """Open a regular file of an open folder, without a buffer; not through a link, which could lead out of the roots.
    Raises OSError as open_file() does."""
    return _regular(os.open(name, _FILE | os.O_NOFOLLOW, dir_fd=folder))


def _regular(descriptor):
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, _NO_FILE)
        return FileIO(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


@contextmanager
def open_folder(path: str | Path, roots: Sequence[Path]) -> Iterator[int]:
    """Open a folder; yields a file descriptor for os.scandir(). Raises Outside, or OSError as open() does."""
    descriptor = _opened(path, roots, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def leads_out(path: str | Path, roots: Sequence[Path]) -> bool:
    """Whether a path, with all links resolved, is outside of the roots."""
    try:
        resolve(path, roots)
    except Outside:
        return True
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, up to Python 3.12
        return False
    return False


def shown(path: str | Path) -> str:
    """A path for a message: shortened, and with unprintable characters escaped."""
    text = str(path) if str(path).isprintable() else ascii(str(path))
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


@contextmanager
def _no_path_is_an_os_error():
    """Turn the ValueError that Python raises for a path with a zero byte or lone surrogates into an OSError."""
    try:
        yield
    except ValueError as error:
        raise OSError(errno.EINVAL, "not a valid path") from error


def _everywhere(roots):
    return "/" in map(str, roots)


def _opened(path, roots, flags):
    if _everywhere(roots):
        with _no_path_is_an_os_error():
            return _open_anywhere(str(path), flags)
    walk = _Walk(path, roots)
    try:
        return walk.run(flags)
    finally:
        walk.close()


def _open_anywhere(path, flags):
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        if (spelled := on_disk(path)) == path:
            raise
        return os.open(spelled, flags)


class _Walk:
    """A walk from a root down a path. `reached` is the current folder, without links; `ahead` are the names left."""

    def __init__(self, path: str | Path, roots: Sequence[Path]):
        self._path = path
        self._roots = roots
        self._links = 0
        self._folder: int | None = None
        self.reached: str
        self.ahead: list[str]
        self._start(str(path))

    def run(self, flags: int | None = None) -> int | None:
        """Walk to the end and, if `flags` are given, open it. Raises Outside or OSError."""
        with _no_path_is_an_os_error():
            return self._run(flags)

    def _run(self, flags):
        while True:
            if self._folder is None:
                self._enter(os.open(self.reached, _ROOT))
            if not self.ahead:
                return None if flags is None else os.open(".", flags, dir_fd=self._folder)
            mode = self._mode_ahead()
            if stat.S_ISLNK(mode):
                self._follow()
            elif len(self.ahead) > 1:
                self._enter(os.open(self.ahead[0], _WAYPOINT, dir_fd=self._folder))
                self.reached = f"{self.reached}/{self.ahead.pop(0)}"
            elif flags is None:
                return None
            elif not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise OSError(errno.EINVAL, _NO_FILE)  # opening a device can have side effects
            else:
                return os.open(self.ahead[0], flags | os.O_NOFOLLOW, dir_fd=self._folder)

    def _mode_ahead(self) -> int:
        """The file mode of the next name. Replaces the name with the spelling that exists on disk, if that differs."""
        try:
            return os.stat(self.ahead[0], dir_fd=self._folder, follow_symlinks=False).st_mode
        except FileNotFoundError:
            if self._folder is None or (spelled := find_spelling(self._folder, self.ahead[0])) is None:
                raise
            self.ahead[0] = spelled
            return os.stat(spelled, dir_fd=self._folder, follow_symlinks=False).st_mode

    def close(self) -> None:
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def _follow(self):
        self._links += 1
        if self._links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = os.readlink(self.ahead[0], dir_fd=self._folder)
        self.close()
        self._start(os.path.join(self.reached, target, *self.ahead[1:]))  # noqa: PTH118 - joins text

    def _start(self, path):
        """Start again at the root that contains the path."""
        normal = os.path.normpath(f"/{path.lstrip('/')}") if path.startswith("/") else ""
        inside = [root for root in map(str, self._roots) if normal == root or normal.startswith(f"{root}/")]
        if not inside:
            raise Outside(self._path, self._roots)
        self.reached = max(inside, key=len)
        self.ahead = [name for name in normal[len(self.reached) :].split("/") if name]

    def _enter(self, folder):
        self.close()
        self._folder = folder
