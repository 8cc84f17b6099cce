"""Lines of CSV."""

import csv
import math

import pytest

from digits_project.common.escaping import csv_line


@pytest.mark.parametrize(
    "text", ["=1+1", '=A("x","y")', "+cat", "-cat", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "-"]
)
def test_a_text_that_a_spreadsheet_would_calculate_stays_a_text(text):
    assert next(csv.reader([csv_line(["before", text])])) == ["before", f"'{text}"]


@pytest.mark.parametrize("text", ["cat", "a=b", "1-2", "-0.5", "+3", "-1e-05", "'=1", "", " =1", "3", "ä"])
def test_other_texts_and_numbers_in_words_stay_what_they_are(text):
    assert next(csv.reader([csv_line(["before", text])])) == ["before", text]


def test_numbers_are_no_texts_and_nothing_is_empty():
    assert csv_line([-0.5, 3, None, -math.inf, 1e-07]) == "-0.5,3,,-inf,1e-07"


def test_commas_quotes_and_ends_of_lines_are_quoted():
    assert csv_line(['a "b", c', "d\ne"]) == '"a ""b"", c","d\ne"'
