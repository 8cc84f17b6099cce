"""Finds the images that a text file lists, "path label-number" on each line, and the categories that another names."""

from __future__ import annotations

import re
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

from datasets.imagedb.folder import is_label
from datasets.imagedb.listing import LabelledListing, ListingWriter
from datasets.imagedb.spec import Spec, TextSource
from digits_project.errors import BadInput

MAX_LABEL = 10**9  # what the labels may reach while their names are not known
MAX_CATEGORIES = 100_000
MAX_LINE_BYTES = 16384  # the longest path that Linux opens has 4096
_BOM = b"\xef\xbb\xbf"
_NUMBER = re.compile(r"[+-]?[0-9]{1,4000}")  # Python refuses to read longer ones
_QUOTES = ('"', "'")


def read_categories(source: TextSource) -> list[str]:
    """The category names, a line each: line i, from 0, names the category of label i. Raises BadInput with the line."""
    names, blank = [], None
    for number, text in _lines(source):
        if not text:
            blank = blank or number
            continue
        if blank is not None:
            raise BadInput(
                f"Line {blank} of {source.name} is blank, with categories after it; every line up to the last names "
                "a category."
            )
        if not is_label(text) or "\0" in text:
            raise BadInput(
                f"Line {number} of {source.name} can't name a category: {_shown(text)} has control characters."
            )
        names.append(text)
        if len(names) > MAX_CATEGORIES:
            raise BadInput(f"{source.name} names more than {MAX_CATEGORIES:,} categories.")
    if len(names) < 2:
        found = f"only one category, {names[0]}" if names else "no category"
        raise BadInput(f"{source.name} names {found}; a classifier needs two. Write one on each line.")
    return names


def read_images(source: TextSource, categories: int, at: Callable[[float], None]) -> Iterator[tuple[str, int]]:
    """(absolute path, label) of every image, in the order of the lines; blank lines are none.

    `at(fraction)` is called for every line. Raises BadInput, which names file and line, for a line that is no path and
    label, a label that is not under `categories`, or a relative path without a folder for it; and for an empty list.
    """
    size, read, found = max(1, source.file.stat().st_size), 0, False
    folder = f"{source.folder}/" if source.folder else None
    for number, text in _lines(source):
        read += len(text)  # in letters, not bytes: near enough for a bar, and never more
        at(min(1.0, read / size))
        if text:
            found = True
            try:
                image = _parsed(text, folder, categories)
            except BadInput as wrong:
                raise BadInput(f"Line {number} of {source.name}{wrong}") from None
            yield image
    if not found:
        raise BadInput(f"{source.name} lists no images. Write a path and the number of its category on each line.")


def check(spec: Spec) -> dict[str, str]:
    """What is wrong with which of the text files: a message under labels, train, val, test; at best none."""
    complaints, categories = {}, MAX_LABEL
    try:
        categories = len(read_categories(spec.labels))
    except BadInput as wrong:
        complaints["labels"] = str(wrong)
    for name in ("train", "val", "test"):
        if source := getattr(spec, name):
            try:
                deque(read_images(source, categories, lambda fraction: None), maxlen=0)
            except BadInput as wrong:
                complaints[name] = str(wrong)
    return complaints


def scan(
    source: TextSource, names: list[str], file: Path, at: Callable[[float], None], roots: Sequence[Path]
) -> LabelledListing:
    """All images that the file lists; `names` are the categories, `file` is a working file that is gone afterwards."""
    labels = array("i")
    with ListingWriter(Path("/"), file) as writer:
        for path, label in read_images(source, len(names), at):
            writer.add(path)
            labels.append(label)
        listing = writer.labelled(names, labels)
    listing.roots = roots
    return listing


def _parsed(text, folder, categories):
    """(absolute path, label) of a line; `folder` ends with a slash. Raises BadInput to follow "Line 3 of list.txt"."""
    parts = text.rsplit(maxsplit=1)
    if len(parts) < 2:
        raise BadInput(f" is {_shown(text)}; a path and the number of its category are wanted, such as cats/1.png 0.")
    path, label = parts
    if not _NUMBER.fullmatch(label):
        raise BadInput(f": the label {_shown(label)} is not a number.")
    if not 0 <= (category := int(label)) < categories:
        raise BadInput(f": the label {_shown(label)} is out of range (0 to {categories - 1}).")
    if path[0] in _QUOTES and path[-1] == path[0]:
        path = path[1:-1].strip()
    if not path or "\0" in path:
        raise BadInput(" names no path.")
    if path.startswith("/"):
        return path, category
    if folder is None:
        raise BadInput(f": {_shown(path)} is a relative path; name the folder of these images too.")
    return folder + path, category


def _lines(source) -> Iterator[tuple[int, str]]:
    """(number from 1, text without white space at its ends) of every line."""
    with source.file.open("rb") as file:
        for number in count(1):
            line = file.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            if len(line) > MAX_LINE_BYTES:
                raise BadInput(f"Line {number} of {source.name} is longer than {MAX_LINE_BYTES} bytes; is this text?")
            try:
                text = (line.removeprefix(_BOM) if number == 1 else line).decode("utf-8")
            except UnicodeDecodeError as error:
                raise BadInput(f"Line {number} of {source.name} is not UTF-8 text.") from error
            yield number, text.strip()


def _shown(text):
    """Of a text that somebody else wrote, as much as a message can hold."""
    return repr(text if len(text) <= 100 else text[:100] + "…")
