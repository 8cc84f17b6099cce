"""Finds the images of a folder that has one subfolder per category."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, compress, islice
from pathlib import Path
from typing import NamedTuple

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.images.formats import READABLE
from datasets.imagedb.readers import category_names
from datasets.imagedb.readers.file_summary import Summaries
from datasets.imagedb.readers.listing import Listing, ListingWriter
from datasets.imagedb.readers.recognition import Recognized, Recognizer, recognize, unrecognized
from digits_project.common.confined_files import (
    EVERYWHERE,
    Outside,
    leads_out,
    open_entry,
    open_folder,
    open_raw,
    unreadable,
)
from digits_project.common.errors import BadInput

_BESIDE = "it lies beside the folders of the categories, not in one of them"
_BLOCK = 4096  # names at a time, to keep temporary lists small
_NOTHING = Recognized(None, None)
_LEADS_OUT = "leads out of the folders that this server may read, and is left out."


def scan(
    folder: Path,
    file: Path,
    log: BuildLog,
    at: Callable[[float], None],
    roots: Sequence[Path] = EVERYWHERE,
    workers: int = 1,
) -> Listing:
    """All images under `folder`, by category, sorted by name. `file` is a working file, removed at the end.

    Subfolders whose names differ only in their Unicode form are one category, with a warning. Subfolders are searched
    recursively. Links are followed, each real folder once per category, unless they lead out of `roots`. Images are
    recognised by content, in folders of many files by several workers. Hidden names are ignored. `at(fraction)` is
    called for every name. Raises BadInput if there is no image.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would show another path than the user named
    categories = category_names.grouped(subfolders(folder, roots, log))
    _count_beside(folder, roots, log)
    above, summaries = _ancestors(folder), Summaries()
    with ListingWriter(folder, file) as writer, Recognizer(roots, workers, partial(at, 0)) as recognizer:
        for position, names in enumerate(categories):
            if len(names) > 1:
                _say_one_category(folder, names, log)
            fraction, category = position / len(categories), _Category(roots, set(above), log, recognizer)
            for image in chain.from_iterable(category.images(f"{folder}/{name}") for name in names):
                at(fraction)
                if image is not None:
                    writer.add(image.path)
                    summaries.add(image.summary)
            writer.end_category(names[0])
        if not len(writer):
            left_out = f" {log.skipped_in_words()}" if log.skipped else ""
            raise BadInput(no_images(folder) + left_out)
        listing = writer.listing()
    listing.roots, listing.summaries = roots, summaries
    return listing


def walk(
    folder: Path, roots: Sequence[Path], log: BuildLog, goes_on: Callable[[], bool]
) -> Iterator[tuple[str, str | None]]:
    """The category and the path of every image, found as scan() finds them, and None for the path of every other name,
    until `goes_on` says no; then the names of the remaining categories alone. Raises BadInput as subfolders() does."""
    above, recognizer = _ancestors(folder), Recognizer(roots, 1, lambda: None)
    categories = category_names.grouped(subfolders(folder, roots, log))
    _count_beside(folder, roots, log)
    for names in categories:
        category = _Category(roots, set(above), log, recognizer)
        yield names[0], None
        for image in chain.from_iterable(category.images(f"{folder}/{name}") for name in names):
            if not goes_on():
                break
            yield names[0], image.path if image else None


def subfolders(folder: Path, roots: Sequence[Path], log: BuildLog | None = None) -> list[str]:
    """The names of the subfolders, sorted and checked as category names. Raises BadInput if there are none or the
    folder can't be read."""
    try:
        with open_folder(folder, roots) as descriptor, os.scandir(descriptor) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not _hidden(entry) and not _leads_out(entry, folder, roots, log) and _is_folder(entry)
            )
    except FileNotFoundError as error:
        raise BadInput(f"{folder} does not exist. Name a folder of the server that holds images.") from error
    except NotADirectoryError as error:
        raise BadInput(f"{folder} is not a folder. Name the folder that holds one subfolder per category.") from error
    except OSError as error:
        raise unreadable(folder, error) from error
    if not names:
        raise BadInput(f"{folder} holds no subfolders. Put the images of each category into a subfolder of its own.")
    for name in names:
        if fault := category_names.fault(name):
            raise BadInput(f"The subfolder {name!r} of {folder} can't name a category: it {fault}. Rename it.")
    return names


def _say_one_category(folder, names, log):
    log.warn(
        f"{len(names)} subfolders of {folder} are called {names[0]} and are one category: "
        f"{category_names.different_spellings(names)}."
    )


def with_images(
    folder: Path,
    categories: Sequence[Sequence[str]],
    enough: int,
    roots: Sequence[Path],
    log: BuildLog,
    goes_on: Callable[[], bool],
) -> list[str] | None:
    """The first `enough` categories (each a list of subfolder names) that contain an image, or fewer if there are
    not enough. None if `goes_on`, called for every name, stopped the search."""
    found, above, recognizer = [], _ancestors(folder), Recognizer(roots, 1, lambda: None)
    for names in categories:
        category = _Category(roots, set(above), log, recognizer)
        for image in chain.from_iterable(category.images(f"{folder}/{name}") for name in names):
            if image is not None:
                found.append(names[0])
                break
            if not goes_on():
                return None
        if len(found) == enough:
            break
    return found


def no_images(folder: Path) -> str:
    """The message for a folder without images."""
    return f"{folder} holds no images in its subfolders. An image is a {READABLE} file."


def one_category(folder: Path, name: str) -> str:
    """The message for a folder with images of only one category."""
    return (
        f"{folder} holds images of one category only, {name}; a classifier needs two. "
        "Add a subfolder with images of another category."
    )


class _Found(NamedTuple):
    """An image, recognised by its content."""

    path: str
    summary: bytes


class _Category:
    """The search for the images of one category. `seen` are the (device, inode) pairs of folders not to enter."""

    def __init__(self, roots: Sequence[Path], seen: set[tuple[int, int]], log: BuildLog, recognizer: Recognizer):
        self._roots = roots
        self._recognizer = recognizer
        self._seen = seen
        self._log = log

    def images(self, folder: str) -> Iterator[_Found | None]:
        """Every image below the folder, and None for every other name, so that the caller sees progress."""
        pending = [folder]
        while pending:
            current = pending.pop()
            found: list[str] = []
            try:
                with open_folder(current, self._roots) as descriptor:
                    if self._first_visit(descriptor):
                        yield from self._images_in(current, descriptor, found)
                    else:
                        self._log.note(f"{current} leads to a folder that was already searched")
            except Outside:
                self._log.warn(f"{current} {_LEADS_OUT}")
            except OSError as error:
                self._log.warn(f"{current} can't be read: {error.strerror}.")
            pending.extend(sorted(found, reverse=True))

    def _images_in(self, folder, descriptor, subfolders):
        """Yield like images(), but for the names in one folder; its subfolders are appended to `subfolders`."""
        with os.scandir(descriptor) as entries:
            while block := list(islice(entries, _BLOCK)):
                are_plain = [_is_plain(entry) for entry in block]
                names = [entry.name for entry in compress(block, are_plain)]
                plain = self._recognizer.files(folder, descriptor, names)
                for entry, is_plain in zip(block, are_plain, strict=True):
                    path = f"{folder}/{entry.name}"
                    found = next(plain) if is_plain else self._looked_at(entry, path, folder, descriptor, subfolders)
                    if found.reason:
                        self._log.skip(path, found.reason)
                    yield _Found(path, found.summary) if found.summary else None

    def _looked_at(self, entry, path, folder, descriptor, subfolders):
        """Recognise an entry that is not plain; a folder is appended to `subfolders`."""
        if _hidden(entry) or _leads_out(entry, folder, self._roots, self._log):
            return _NOTHING
        if _is_folder(entry):
            subfolders.append(path)
        return _recognized(entry, path, descriptor, self._roots)

    def _first_visit(self, folder):
        identity = _identity(folder)
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True


def _is_plain(entry):
    """Whether an entry is a regular file that needs no closer look than at its content."""
    try:
        is_file = entry.is_file(follow_symlinks=False)
    except OSError:  # _recognized() gives the reason
        return False
    return is_file and not _hidden(entry) and not _has_line_break(entry)


def _recognized(entry, path, folder, roots) -> Recognized:
    """Recognise any entry of the folder with the descriptor `folder`."""
    try:
        if not entry.is_file():
            return _NOTHING if entry.is_dir() else Recognized(None, "the link leads nowhere")
    except OSError as error:
        return unrecognized(entry.name, error)
    if _has_line_break(entry):
        return Recognized(None, "its name has a line break")
    is_link = entry.is_symlink()
    return recognize(entry.name, partial(open_raw, path, roots) if is_link else partial(open_entry, folder, entry.name))


def _has_line_break(entry):
    return "\n" in entry.name or "\r" in entry.name


def _count_beside(folder, roots, log):
    """Log the images in the folder itself as skipped, because they have no category."""
    with open_folder(folder, roots) as descriptor, os.scandir(descriptor) as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}"
            if not _hidden(entry) and not _leads_out(entry, folder, roots, None) and not _is_folder(entry):
                image, reason = _recognized(entry, path, descriptor, roots)
                if image or reason:
                    log.skip(path, _BESIDE if image else reason)


def _leads_out(entry, folder, roots, log):
    """Whether the entry is a link out of the roots; the log says no more about its target."""
    if not entry.is_symlink() or not leads_out(f"{folder}/{entry.name}", roots):
        return False
    if log:
        log.warn(f"{folder}/{entry.name} {_LEADS_OUT}")
    return True


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; _is_image() logs it
        return False


def _ancestors(folder):
    """(device, inode) of the folder and of its parents; a link to one of them would be a loop."""
    real = folder.resolve()
    return {_identity(path) for path in (real, *real.parents)}


def _identity(path):
    status = os.stat(path)  # noqa: PTH116 - the path can be a descriptor
    return status.st_dev, status.st_ino


def _hidden(entry):
    return entry.name.startswith(".")
