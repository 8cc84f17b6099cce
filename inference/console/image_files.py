"""Finds the images that a command line names: files, folders, patterns, and a list on standard input."""

import glob
import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from datasets.imagedb.images import decoding
from digits_project.common.confined_files import EVERYWHERE, open_file
from digits_project.common.spellings import on_disk

MAX_SORTED = 100_000  # names of one folder in memory


def image_files(names: Iterable[str], recursive: bool, listed: Iterable[bytes]) -> Iterator[Path]:
    """The files, in the order of the names. `-` stands for the lines of `listed`, which need not be UTF-8.

    Matches of a pattern are sorted, or in the order of the file system if there are more than MAX_SORTED. So are the
    files of a folder whose first bytes are an image's; `recursive` adds subfolders. Missing files are yielded too, and
    the reader reports them.
    """
    for name in names:
        if name == "-":
            yield from (Path(os.fsdecode(line.rstrip(b"\r\n"))) for line in listed if line.strip())
        elif os.path.isdir(folder := on_disk(name)):  # noqa: PTH112 - a name may be anything, also what is no path
            yield from _of_folder(folder, recursive)
        elif glob.has_magic(name) and not os.path.lexists(name):
            yield from _of_pattern(name, recursive)
        else:
            yield Path(name)


def _of_pattern(pattern: str, recursive: bool) -> Iterator[Path]:
    matching = glob.iglob(pattern, recursive=True)  # noqa: PTH207 - Path.rglob is another language
    first = list(islice(matching, MAX_SORTED + 1))
    if len(first) <= MAX_SORTED:
        first.sort()
    for name in chain(first or [pattern], matching):
        if not os.path.isdir(name):  # noqa: PTH112 - likewise
            yield Path(name)
        elif recursive:
            yield from _of_folder(name, recursive)


def _of_folder(folder: str, recursive: bool) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        first = list(islice(entries, MAX_SORTED + 1))
        if len(first) <= MAX_SORTED:
            first.sort(key=lambda entry: entry.name)
        folders: list[str] = []
        for some in (first, entries):
            for entry in some:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file() and _begins_as_image(entry.path):
                    yield Path(entry.path)
    for name in folders if recursive else ():
        yield from _of_folder(name, recursive)


def _begins_as_image(path: str) -> bool:
    try:
        with open_file(path, EVERYWHERE) as file:
            return decoding.sniff(file.read(decoding.SIGNATURE_BYTES)) is not None
    except OSError:
        return True  # the reader reports the error
