"""Text for a terminal, and cells of CSV files: harmful characters are escaped."""

import csv
import math

import pytest

from digits_project.common.escaping import csv_line, escaped


@pytest.mark.parametrize(
    "text, expected",
    [
        ("cat", "cat"),
        ("un café", "un café"),
        ("\x1b[31mcat", r"\x1b[31mcat"),
        ("cat\tdog\n", r"cat\tdog\n"),
        ("\x9b31m", r"\x9b31m"),
        ("c\u200bat", r"c\u200bat"),
        ("\u202etac", r"\u202etac"),
        ("\ufeffcat", r"\ufeffcat"),
        ("so\u00adft", r"so\xadft"),
        ("\u3164", r"\u3164"),
        ("caf\udce9", r"caf\udce9"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("ca\u200ct", r"ca\u200ct"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
    ],
)
def test_control_and_invisible_characters_become_escapes(text, expected):
    assert escaped(text) == expected


def test_characters_in_keep_are_not_escaped():
    assert escaped("a\tb\x1b\n", keep="\t\n") == "a\tb\\x1b\n"


@pytest.mark.parametrize(
    "text", ["=1+1", '=A("x","y")', "+cat", "-cat", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "-"]
)
def test_csv_cells_that_spreadsheets_would_run_as_formulas_are_escaped(text):
    assert next(csv.reader([csv_line(["before", text])])) == ["before", f"'{text}"]


@pytest.mark.parametrize("text", ["cat", "a=b", "1-2", "-0.5", "+3", "-1e-05", "'=1", "", " =1", "3", "ä"])
def test_other_csv_texts_are_unchanged(text):
    assert next(csv.reader([csv_line(["before", text])])) == ["before", text]


def test_csv_numbers_are_not_escaped_and_none_is_empty():
    assert csv_line([-0.5, 3, None, -math.inf, 1e-07]) == "-0.5,3,,-inf,1e-07"


def test_csv_cells_with_commas_quotes_or_newlines_are_quoted():
    assert csv_line(['a "b", c', "d\ne"]) == '"a ""b"", c","d\ne"'
