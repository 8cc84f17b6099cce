"""Reads text files that list images ("path label-number" on each line, perhaps with a group) and categories (one name
per line)."""

from __future__ import annotations

import re
import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.imagedb.readers import category_names
from datasets.imagedb.readers.lines import foreign_path, lst_line, read_lines, whole_label
from datasets.imagedb.readers.listing import LabelledListing, ListingWriter
from datasets.imagedb.spec import Spec, TextSource
from digits_project.common.confined_files import open_file
from digits_project.common.errors import BadInput

MAX_LABEL = 10**9  # the largest label while the category names are not known
MAX_CATEGORIES = 100_000
_NUMBER = re.compile(r"[+-]?[0-9]{1,4000}")  # Python refuses longer numbers
_QUOTES = ('"', "'")


def read_categories(source: TextSource | None) -> list[str]:
    """The category names: line i (from 0) is the name of label i. Raises BadInput with the line number."""
    if source is None:
        raise BadInput("There is no file that names the categories.")
    names, lines, blank = [], [], None
    for number, text in _lines(source):
        if not text:
            blank = blank or number
            continue
        if blank is not None:
            raise BadInput(
                f"Line {blank} of {source.name} is blank, with categories after it; every line up to the last names "
                "a category."
            )
        if fault := category_names.fault(text):
            raise BadInput(f"Line {number} of {source.name} can't name a category: {_shown(text)} {fault}.")
        names.append(text)
        lines.append(number)
        if len(names) > MAX_CATEGORIES:
            raise BadInput(f"{source.name} names more than {MAX_CATEGORIES:,} categories.")
    if len(names) < 2:
        found = f"only one category, {names[0]}" if names else "no category"
        raise BadInput(f"{source.name} names {found}; a classifier needs two. Write one on each line.")
    _refuse_equal(names, lines, source)
    return names


def _refuse_equal(names, lines, source):
    first: dict[str, int] = {}
    for position, name in enumerate(names):
        before = first.setdefault(category_names.comparable(name), position)
        if before != position:
            spelt = "" if name == names[before] else f"; {category_names.different_spellings([names[before], name])}"
            raise BadInput(
                f"Lines {lines[before]} and {lines[position]} of {source.name} name the same category, {_shown(name)}"
                f"{spelt}. Give each category a name of its own, such as {_shown(name + ' 2')}."
            )


class LineOfList(NamedTuple):
    """An image that a line lists: its absolute path, its label, and its group, "" in a list without groups."""

    path: str
    label: int
    group: str


def read_images(
    source: TextSource,
    categories: int,
    at: Callable[[float], None],
    roots: Sequence[Path] = (),
    has_groups: bool = False,
) -> Iterator[LineOfList]:
    """Every image, in the order of the lines, each of which ends with a group if `has_groups`. Blank lines are skipped.

    `at(fraction)` is called for every line. Raises BadInput, with file and line, for a line that is not a path and a
    label, a label that is not below `categories`, or a relative path without a folder; also for an empty list. A path
    that is not UTF-8 must exist in one of the `roots`.
    """
    size, read, found = max(1, source.file.stat().st_size), 0, False
    folder = f"{source.folder}/" if source.folder else None
    for number, text in _lines(source, roots):
        read += len(text)  # characters, not bytes: accurate enough for progress, and never more than the size
        at(min(1.0, read / size))
        if text:
            found = True
            try:
                image = _parsed(text, folder, categories, has_groups)
            except BadInput as wrong:
                raise BadInput(f"Line {number} of {source.name}{wrong}") from None
            yield image
    if not found:
        raise BadInput(f"{source.name} lists no images. Write a path and the number of its category on each line.")


def check(spec: Spec) -> dict[str, str]:
    """{file: message} of the text files that are wrong; the keys are labels, train, val, test."""
    complaints, categories = {}, MAX_LABEL
    try:
        categories = len(read_categories(spec.labels))
    except BadInput as wrong:
        complaints["labels"] = str(wrong)
    for name in ("train", "val", "test"):
        if source := getattr(spec, name):
            try:
                images = read_images(source, categories, lambda fraction: None, spec.roots, spec.has_group_column)
                first = next(images)
                deque(images, maxlen=0)
                _check_folder_of_lst(source, first.path, spec.roots)
            except BadInput as wrong:
                complaints[name] = str(wrong)
    return complaints


def scan(source: TextSource, spec: Spec, names: list[str], file: Path, at: Callable[[float], None]) -> LabelledListing:
    """All images that the text file lists. `names` are the categories; `file` is a working file, removed at the end."""
    labels, groups = array("i"), []
    with ListingWriter(Path("/"), file) as writer:
        for image in read_images(source, len(names), at, spec.roots, spec.has_group_column):
            writer.add(image.path)
            labels.append(image.label)
            if spec.has_group_column:
                groups.append(sys.intern(image.group))  # one text for all images of a group
        listing = writer.labelled(names, labels, groups)
    listing.roots = spec.roots
    return listing


def _check_folder_of_lst(source, first, roots):
    """Raise BadInput if the first image of an im2rec list is missing: its paths are relative to im2rec's own folder."""
    text = next(text for _, text in _lines(source, roots) if text)
    if _is_lst(text) and not _is_there(first, roots):
        raise BadInput(
            f"{source.name} is a list for im2rec, and its first image, {_shown(first)}, is not there. Name the "
            "folder that im2rec got as its root as the folder of these images."
        )


def _parsed(text, folder, categories, has_groups) -> LineOfList:
    """The image of a line. `folder` ends with a slash. Raises BadInput, a clause after "Line 3 of …"."""
    listed, group = _without_group(text) if has_groups else (text, "")
    path, label = _path_and_label(listed)
    if not _NUMBER.fullmatch(label):
        raise BadInput(f": the label {_shown(label)} is not a number.")
    if not 0 <= (category := int(label)) < categories:
        raise BadInput(f": the label {_shown(label)} is out of range (0 to {categories - 1}).")
    if path[:1] in _QUOTES and path[-1] == path[0]:
        path = path[1:-1].strip()
    if not path or "\0" in path:
        raise BadInput(" names no path.")
    if path.startswith("/"):
        return LineOfList(path, category, group)
    if foreign := foreign_path(path):
        raise BadInput(f": {_shown(path)} {foreign}.")
    if folder is None:
        raise BadInput(f": {_shown(path)} is a relative path; name the folder of these images too.")
    return LineOfList(folder + (path if "/" in path else path.replace("\\", "/")), category, group)


def _without_group(text):
    """(path and label, group) of a line that ends with a group."""
    parts = text.rsplit(maxsplit=2)
    if len(parts) < 3 or _is_lst(text):
        raise BadInput(
            f" is {_shown(text)}; with split_groups=column it must be a path, the number of its category and a word "
            "that names its group, such as cats/1.png 0 patient7."
        )
    return text.removesuffix(parts[2]), parts[2]


def _path_and_label(text):
    """(path, label) of a line in Caffe's form, "path label", or in im2rec's, "number, label, path" with tabs."""
    parts = text.rsplit(maxsplit=1)
    if _is_lst(text) and (read := lst_line(text)):
        labels, path = read
        if len(labels) > 1:
            raise BadInput(f" has {len(labels)} labels, as in lists for object detection; a classifier needs one.")
        return path, whole_label(labels[0]) or labels[0]
    if len(parts) < 2:
        raise BadInput(f" is {_shown(text)}; it must be a path and the number of its category, such as cats/1.png 0.")
    return parts


def _is_lst(text):
    """Whether a line has im2rec's form; a line that ends with a number has Caffe's."""
    return not _NUMBER.fullmatch(text.rsplit(maxsplit=1)[-1]) and lst_line(text) is not None


def _lines(source, roots=()) -> Iterator[tuple[int, str]]:
    """(number from 1, stripped text) of every line.

    A line that is not UTF-8 is accepted if it names an existing absolute path, as the lists that a build writes do.
    """
    with source.file.open("rb") as file:
        for number, line in read_lines(file, source.name):
            text = line.decode("utf-8", "surrogateescape")
            if not _is_utf8(text) and not _is_there(text.rsplit(maxsplit=1)[0], roots):
                raise BadInput(f"Line {number} of {source.name} is not UTF-8 text.")
            yield number, text.strip()


def _is_utf8(text):
    return not any("\udc80" <= letter <= "\udcff" for letter in text)


def _is_there(path, roots):
    """Whether this is the absolute path of an existing file in one of the roots."""
    try:
        with open_file(path, roots):
            return path.startswith("/")
    except (OSError, BadInput):
        return False


def _shown(text):
    """A user's text, shortened for a message."""
    return repr(text if len(text) <= 100 else text[:100] + "…")
