"""Recognises files: opens each once, and finds out whether it is an image, or why not. Several processes do so for a
folder of many files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import FileIO
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from datasets.imagedb.images.confined import OUTSIDE
from datasets.imagedb.pool import WorkerPool
from datasets.imagedb.readers.file_summary import summary_of
from datasets.imagedb.readers.unread_files import HEAD_BYTES, is_named_otherwise, judge
from digits_project.common.confined_files import Outside, open_entry, open_folder

_MANY = 1000  # files; for fewer, starting processes takes longer than recognising the files
_PER_TASK = 100


class Recognized(NamedTuple):
    """The summary of an image; for any other file the reason, or None if the file is plainly something else."""

    summary: bytes | None
    reason: str | None


def recognize(name: str, open_it: Callable[[], FileIO]) -> Recognized:
    """Recognise the file that `open_it` opens, by its content; its name gives the reason if it is not an image."""
    try:
        with open_it() as file:
            head, summary = summary_of(file.fileno())
    except (Outside, OSError) as error:
        return unrecognized(name, error)
    is_image, reason = judge(name, head[:HEAD_BYTES])
    return Recognized(summary if is_image else None, reason)


def unrecognized(name: str, error: Outside | OSError) -> Recognized:
    """A file that can't be opened or read; its name says whether it is plainly not an image."""
    reason = OUTSIDE if isinstance(error, Outside) else error.strerror or str(error)
    return Recognized(None, None if is_named_otherwise(name) else reason)


class Recognizer:
    """Recognises the files of folders. Its processes start with the first folder of many files, and are killed at the
    end of the with block. `tick` is called ten times a second while waiting for them; it can raise."""

    def __init__(self, roots: Sequence[Path], workers: int, tick: Callable[[], None]):
        self._roots = tuple(roots)
        self._workers = workers
        self._tick = tick
        self._pool: WorkerPool | None = None

    def __enter__(self) -> Recognizer:
        return self

    def __exit__(self, *_) -> None:
        if self._pool is not None:
            self._pool.__exit__()

    def files(self, folder: str, descriptor: int, names: Sequence[str]) -> Iterator[Recognized]:
        """Recognise regular files of a folder, in their order. `descriptor` is that of the opened folder."""
        if self._workers < 2 or len(names) < _MANY:
            return _recognized(descriptor, names)
        if self._pool is None:
            self._pool = WorkerPool(partial(_recognize_all, self._roots), self._workers).__enter__()
        tasks = ((folder, names[start : start + _PER_TASK]) for start in range(0, len(names), _PER_TASK))
        return chain.from_iterable(self._pool.map(tasks, self._tick))


def _recognize_all(roots, task):
    folder, names = task
    try:
        with open_folder(folder, roots) as descriptor:
            return list(_recognized(descriptor, names))
    except (Outside, OSError) as error:
        return [unrecognized(name, error) for name in names]


def _recognized(descriptor, names):
    for name in names:
        yield recognize(name, partial(open_entry, descriptor, name))
