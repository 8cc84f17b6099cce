"""Lines of CSV, which spreadsheets open too: what users named is never run there as a formula."""

import csv
import re
from collections.abc import Iterable

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
