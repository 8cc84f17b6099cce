"""Escapes text: invisible and control characters for terminals and logs, formulas for spreadsheets."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format, surrogate, line and paragraph separator
_BLANK_LETTERS = "\u034f\u115f\u1160\u2800\u3164\uffa0"  # invisible; to Unicode letters, marks or symbols
_JOINERS = "\u200c\u200d"  # needed to spell Persian, and in emoji of several people


def is_unseen(text: str, position: int) -> bool:
    """Whether the character at this position is invisible, such as ESC, a tab or a zero-width space.

    A joiner between two non-ASCII characters is part of the spelling and does not count.
    """
    letter = text[position]
    if letter in _JOINERS:
        return not (0 < position < len(text) - 1 and text[position - 1] > "\x7f" and text[position + 1] > "\x7f")
    return letter in _BLANK_LETTERS or unicodedata.category(letter) in _UNSEEN


def escaped(text: str, keep: str = "") -> str:
    r"""The text with each invisible character replaced by its escape, such as \x1b; characters in `keep` stay."""
    if text.isprintable() and not any(letter in _BLANK_LETTERS for letter in text):
        return text
    return "".join(
        letter.encode("unicode_escape").decode() if letter not in keep and is_unseen(text, position) else letter
        for position, letter in enumerate(text)
    )


# Also the fullwidth forms, which some spreadsheets treat like these.
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
END = "\r\n"  # csv.writer quotes a value that contains its line terminator
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def csv_line(values: Iterable) -> str:
    """The values as a CSV line, without the line end. Cells that spreadsheets would run as formulas get an apostrophe
    in front (CSV injection): texts that begin with =, +, -, @, a tab or a line end and are not numbers."""
    line = csv.writer(_Echo(), lineterminator=END).writerow([_as_text(value) for value in values])
    return line.removesuffix(END)


def _as_text(value):
    is_formula = isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value


def without_apostrophe(cell: str) -> str:
    """The text of which csv_line() made a cell."""
    text = cell.removeprefix("'")
    return text if _as_text(text) == cell else cell


class _Echo:
    """A file object whose write() returns the text, so that csv.writer returns the line."""

    def write(self, line: str) -> str:
        return line
