"""Finds the images of a folder that holds one subfolder per category."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from datasets.imagedb.buildlog import BuildLog
from datasets.imagedb.images import READABLE, SIGNATURE_BYTES, sniff
from datasets.imagedb.listing import Listing, ListingWriter
from digits_project.errors import BadInput

# Whoever named a file like this meant it as an image: if it is none, that is worth a line in the log.
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".pnm", ".webp", ".gif", ".tif", ".tiff")


def scan(folder: Path, file: Path, log: BuildLog, at: Callable[[float], None]) -> Listing:
    """All images under `folder`, by category, sorted by name; `file` is a working file that is gone afterwards.

    Subfolders are searched recursively and links followed, each real folder once a category. What is an image is told
    by content. Hidden names are ignored. `at(fraction)` is called for every name. Raises BadInput if there is no image.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would show the user another path than he named
    names = subfolders(folder)
    above = _ancestors(folder)
    with ListingWriter(folder, file) as writer:
        for position, name in enumerate(names):
            fraction = position / len(names)
            for path in _images(str(folder / name), set(above), log):
                at(fraction)
                if path is not None:
                    writer.add(path)
            writer.end_category(name)
        if not len(writer):
            raise BadInput(f"{folder} holds no images in its subfolders. An image is a {READABLE} file.")
        return writer.listing()


def subfolders(folder: Path) -> list[str]:
    """Names of the categories, sorted. Raises BadInput if there are none or the folder can't be read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not _hidden(entry) and _is_folder(entry))
    except FileNotFoundError as error:
        raise BadInput(f"{folder} does not exist. Name a folder of the server that holds images.") from error
    except NotADirectoryError as error:
        raise BadInput(f"{folder} is not a folder. Name the folder that holds one subfolder per category.") from error
    except PermissionError as error:
        raise BadInput(f"{folder} can't be read: permission denied. Let the server's user read it.") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise BadInput(f"{folder} can't be read: {getattr(error, 'strerror', None) or error}.") from error
    if not names:
        raise BadInput(f"{folder} holds no subfolders. Put the images of each category into a subfolder of its own.")
    for name in names:
        if not is_label(name):
            raise BadInput(f"The subfolder {name!r} of {folder} can't name a category: it must be one line of UTF-8.")
    return names


def _images(category, seen, log) -> Iterator[str | None]:
    """The path of every image under `category`, and None for every other name, so that the caller sees progress.

    `seen` are the (device, inode) of folders not to enter; those entered are added.
    """
    pending = [category]
    while pending:
        current = pending.pop()
        try:
            if not _first_visit(current, seen):
                log.note(f"{current} leads to a folder that is read already")
                continue
            entries = os.scandir(current)
        except OSError as error:
            log.warn(f"{current} can't be read: {error.strerror}.")
            continue
        subfolders = []
        with entries:
            for entry in entries:
                if not _hidden(entry) and _is_folder(entry):
                    subfolders.append(entry.path)
                yield entry.path if not _hidden(entry) and _is_image(entry, log) else None
        pending.extend(sorted(subfolders, reverse=True))


def _is_image(entry, log):
    """By content. A file that only its name calls an image is logged as skipped."""
    try:
        if not entry.is_file():
            reason = None if entry.is_dir() else "the link leads nowhere"
        elif "\n" in entry.name or "\r" in entry.name:
            reason = "its name has a line break"
        else:
            with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path for each of a million costs more
                head = file.read(SIGNATURE_BYTES)
            if sniff(head):
                return True
            reason = f"its content is not that of a {READABLE} file" if head else "the file is empty"
    except OSError as error:
        reason = error.strerror
    if reason and entry.name.lower().endswith(_IMAGE_SUFFIXES):
        log.skip(entry.path, reason)
    return False


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; _is_image() tells of it
        return False


def _first_visit(folder, seen):
    identity = _identity(folder)
    if identity in seen:
        return False
    seen.add(identity)
    return True


def _ancestors(folder):
    """Identities of the folder and of all that it lies in: a link to one of them leads round in a circle."""
    real = folder.resolve()
    return {_identity(path) for path in (real, *real.parents)}


def _identity(path):
    status = os.stat(path)  # noqa: PTH116 - takes strings too
    return status.st_dev, status.st_ino


def _hidden(entry):
    return entry.name.startswith(".")


def is_label(name):
    """Whether the name can stand on a line of labels.txt."""
    return len(name.splitlines()) == 1 and not any("\ud800" <= letter <= "\udfff" for letter in name)
