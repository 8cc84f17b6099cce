"""Reads the lines of a user's text file, and recognises paths of other systems in them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import count
from typing import BinaryIO, cast

from digits_project.common.errors import BadInput

MAX_LINE_BYTES = 16384  # the longest path on Linux has 4096
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_HEAD_BYTES = 1 << 16
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")  # C:\ or \\server
_HOME = re.compile(r"~[^/]*/")
# A line of MXNet's im2rec: number, label or labels, path, with tabs between them
_LST = re.compile(r"[0-9]+((?:\t[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)+)\t(\S.*)")


def read_lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """(number from 1, stripped line) of every line of a seekable file at its start.

    In a text without line feeds, CR ends the lines, as on old Macs. `name` is for messages. Raises BadInput for a line
    that is too long, and for UTF-16.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.startswith(_UTF16):
        raise BadInput(
            f"Line 1 of {name} is not UTF-8 text. It may be UTF-16, as PowerShell writes it; save it as UTF-8."
        )
    next_line = _ended_by_cr(file) if b"\r" in head and b"\n" not in head else file.readline
    for number in count(1):
        line = next_line(MAX_LINE_BYTES + 1)
        if not line:
            return
        if len(line) > MAX_LINE_BYTES:
            raise BadInput(f"Line {number} of {name} is longer than {MAX_LINE_BYTES} bytes. Is the file a text?")
        yield number, (line.removeprefix(_BOM) if number == 1 else line).strip()


def _ended_by_cr(file):
    text = io.TextIOWrapper(cast(BinaryIO, _Kept(file)), encoding="latin-1", newline="\r")
    return lambda most: text.readline(most).encode("latin-1")


class _Kept(io.RawIOBase):
    """A wrapper that reads a file and does not close it."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def lst_line(text: str) -> tuple[list[str], str] | None:
    """(labels, path) of a line of an .lst file of MXNet's im2rec; None if it is not such a line."""
    match = _LST.fullmatch(text)
    return (match[1].split("\t")[1:], match[2]) if match else None


def whole_label(number: str) -> str | None:
    """A label of an .lst file, such as 3.000000, as a whole number; None if it is not one."""
    match = re.fullmatch(r"([+-]?[0-9]+)(?:\.0*)?", number)
    return match[1] if match else None


def foreign_path(path: str) -> str | None:
    """Why a path can't be on this server (such as a Windows path), as a clause after "it"; None if it can."""
    if _DRIVE.match(path):
        return "is a Windows path. Write the path that the file has on the server, with / between folders"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
        return "is a URL. Only images on the server can be listed here"
    if _HOME.match(path):
        return "begins with ~, which only a shell understands. Write the whole path, from / on"
    return None
