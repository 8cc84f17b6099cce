"""Reads the image list of classify_many, infer_many and top_n: one image per line, `path-or-URL[ label]`.

Names that are not UTF-8 keep their bytes (surrogateescape).
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from datasets.imagedb.readers.lines import foreign_path, lst_line, read_lines, whole_label
from digits_project.common.errors import BadInput
from digits_project.common.fetch import fetch
from digits_project.jobs.data_roots import readable

MAX_BYTES = 256 << 20
SECONDS_FOR_URLS = 600
GROUND_TRUTH = re.compile(r"(.*\S)\s+([+-]?\d+)")  # the number after the last space is the label
MAX_DIGITS = 18  # of a label; far more than any number of categories
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f]")


@dataclass(frozen=True)
class ListedImage:
    """A line of the list: an image's name, and the number of its category."""

    name: str
    truth: int | None = None

    @property
    def shown(self) -> str:
        """The name as text, with bytes that are not UTF-8 escaped."""
        return self.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def __str__(self):
        return self.shown


@dataclass(frozen=True)
class ImageList:
    """A posted list of images. A relative path starts at `folder`; at most `most` images are read (None: all).

    URLs are fetched only until the time `urls_until`, so that slow hosts can't occupy the server for days.
    """

    upload: BinaryIO
    folder: str = ""
    most: int | None = None
    urls_until: float = field(default_factory=lambda: time.monotonic() + SECONDS_FOR_URLS)

    def entries(self) -> Iterator[ListedImage]:
        """The lines of the list, in order, without blank lines. Raises BadInput if it is not a list."""
        return islice(_entries(self.upload), self.most)

    def file(self, name: str) -> Path | bytes:
        """The file of a name, or the bytes of its URL. Raises BadInput."""
        if "://" in name:
            if time.monotonic() > self.urls_until:
                raise BadInput(f"the {SECONDS_FOR_URLS // 60} minutes for fetching the URLs of a list are over")
            return fetched(name)
        if "\0" in name:
            raise BadInput("there is no file with such a name")
        if foreign := foreign_path(name):
            raise BadInput(f"it {foreign}")
        return readable(name if name.startswith("/") or not self.folder else f"{self.folder.rstrip('/')}/{name}")


def fetched(url: str) -> bytes:
    """The encoded image at a URL. Raises BadInput."""
    if not settings.DIGITS_ALLOW_URLS:
        raise BadInput("This server does not fetch URLs (DIGITS_ALLOW_URLS is off); send the image as image_file.")
    return fetch(url, settings.DIGITS_URL_POLICY)


def _entries(upload: BinaryIO) -> Iterator[ListedImage]:
    for number, line in read_lines(upload, "image_list"):
        if line:
            yield _listed(_text(line, number))


def _listed(text: str) -> ListedImage:
    if match := GROUND_TRUTH.fullmatch(text):
        return ListedImage(match[1], _label(match[2]))
    if listed := lst_line(text):
        labels, path = listed
        label = whole_label(labels[0])
        return ListedImage(path, _label(label) if label and len(labels) == 1 else None)
    return ListedImage(text)


def _label(number: str) -> int | None:
    return int(number) if len(number) <= MAX_DIGITS else None


def _text(line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        if CONTROL.search(line):
            raise BadInput(f"Line {number} of image_list is not UTF-8 text.") from error
        return line.decode("utf-8", "surrogateescape").strip()  # a file's name can be any bytes
