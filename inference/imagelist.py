"""The list of images that classify_many, infer_many and top_n take: one a line, `path-or-URL[ label]`."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from digits_project.access import readable
from digits_project.errors import BadInput
from digits_project.fetch import fetch

MOST_BYTES = 256 << 20
SECONDS_FOR_URLS = 600
MOST_BYTES_A_LINE = 16384  # the longest path that Linux opens has 4096
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
GROUND_TRUTH = re.compile(r"(.*\S)\s+([+-]?\d+)")  # the number behind the last space is the label, whatever the name is
MOST_DIGITS = 18  # of a label; no dataset has as many categories


@dataclass(frozen=True)
class Listed:
    """A line of the list: an image's name, and the number of the category that it is said to belong to."""

    name: str
    truth: int | None = None

    def __str__(self):
        return self.name


@dataclass(frozen=True)
class ImageList:
    """What was sent: the list, the folder of its relative names, and how many of its images are wanted (None: all).

    URLs are fetched until the moment `urls_until` only, so that slow hosts can't hold the server for days.
    """

    upload: BinaryIO
    folder: str = ""
    most: int | None = None
    urls_until: float = field(default_factory=lambda: time.monotonic() + SECONDS_FOR_URLS)

    def entries(self) -> Iterator[Listed]:
        """The images as they are written, in their order; blank lines are none. Raises BadInput for what is no list."""
        return islice(_entries(self.upload), self.most)

    def file(self, name: str) -> Path | bytes:
        """The file that a name stands for, or what its URL holds. Raises BadInput."""
        if "://" in name:
            if time.monotonic() > self.urls_until:
                raise BadInput(f"the {SECONDS_FOR_URLS // 60} minutes that a list has for its URLs are over")
            return fetched(name)
        if "\0" in name:
            raise BadInput("no file has such a name")
        return readable(name if name.startswith("/") or not self.folder else f"{self.folder.rstrip('/')}/{name}")


def fetched(url: str) -> bytes:
    """The image that a URL holds, still encoded. Raises BadInput."""
    if not settings.DIGITS_ALLOW_URLS:
        raise BadInput("This server does not fetch URLs (DIGITS_ALLOW_URLS is off); send the image as image_file.")
    return fetch(url, settings.DIGITS_URL_POLICY)


def _entries(upload: BinaryIO) -> Iterator[Listed]:
    for number in count(1):
        line = upload.readline(MOST_BYTES_A_LINE + 1)
        if not line:
            return
        if len(line) > MOST_BYTES_A_LINE:
            raise BadInput(f"Line {number} of image_list is longer than {MOST_BYTES_A_LINE} bytes; is this a text?")
        text = _text(line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line, number)
        if text:
            match = GROUND_TRUTH.fullmatch(text)
            yield Listed(match[1], _label(match[2])) if match else Listed(text)


def _label(number: str) -> int | None:
    return int(number) if len(number) <= MOST_DIGITS else None


def _text(line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise BadInput(f"Line {number} of image_list is not UTF-8 text.") from error
