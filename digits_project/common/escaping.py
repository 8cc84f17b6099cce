"""Makes visible what nobody sees and what a terminal would obey. Bottom of the import graph: no Django here."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format, half a character, line and paragraph separators
_BLANK_LETTERS = "\u034f\u115f\u1160\u2800\u3164\uffa0"  # which Unicode counts as letters, marks or symbols
_JOINERS = "\u200c\u200d"  # without them Persian is misspelt, and a family's emoji falls apart


def is_unseen(text: str, position: int) -> bool:
    """Whether the character there has no shape of its own, such as ESC, a tab or a zero-width space.

    A joiner between two characters beyond ASCII belongs to the spelling.
    """
    letter = text[position]
    if letter in _JOINERS:
        return not (0 < position < len(text) - 1 and text[position - 1] > "\x7f" and text[position + 1] > "\x7f")
    return letter in _BLANK_LETTERS or unicodedata.category(letter) in _UNSEEN


def escaped(text: str, keep: str = "") -> str:
    r"""The text with each unseen character as its escape, such as \x1b; those in `keep` stay."""
    if text.isprintable() and not any(letter in _BLANK_LETTERS for letter in text):
        return text
    return "".join(
        letter.encode("unicode_escape").decode() if letter not in keep and is_unseen(text, position) else letter
        for position, letter in enumerate(text)
    )


# Also as fullwidth characters, which some spreadsheets take for these.
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
END = "\r\n"  # what a writer ends lines with is also what it quotes in a value
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def csv_line(values: Iterable) -> str:
    """The values as a line, without its end. An apostrophe goes before a text that a spreadsheet would calculate: one
    that begins with =, +, -, @, a tab or the end of a line and is no number."""
    line = csv.writer(_Echo(), lineterminator=END).writerow([_as_text(value) for value in values])
    return line.removesuffix(END)


def _as_text(value):
    is_formula = isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, line: str) -> str:
        return line
