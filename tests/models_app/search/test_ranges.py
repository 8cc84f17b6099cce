"""The ranges and lists of values that a user writes."""

import pytest

from digits_project.common.errors import BadInput
from models_app.search.ranges import Dimension, read_choices, read_range


@pytest.mark.parametrize(
    "text, whole, expected",
    [
        ("0.0001..0.1 log", False, Dimension(0.0001, 0.1, log=True)),
        (" 1e-4 .. 1e-1   log ", False, Dimension(0.0001, 0.1, log=True)),
        ("16..128", True, Dimension(16, 128, whole=True)),
        ("-1..1", False, Dimension(-1, 1)),
    ],
)
def test_a_range_has_a_lowest_and_a_highest_value(text, whole, expected):
    assert read_range(text, int if whole else float, whole) == expected


@pytest.mark.parametrize(
    "text, message",
    [
        ("0.1..", "'0.1..' is not a range: write the lowest and the highest value, such as 0.0001..0.1 log."),
        ("1..2..3 x y", "'1..2..3 x y' is not a range: write"),
        ("." * 1_000_000, "is not a range"),
        ("0.1..0.2 lin", "'lin' after the range is unknown; only log can stand there, such as"),
        ("0.2..0.1", "The range 0.2..0.1 must begin with its lowest value, and end with a higher one."),
        ("0.1..0.1", "must begin with its lowest value"),
        ("0..1 log", "The range 0..1 log must begin above 0, because it is logarithmic (log)."),
    ],
)
def test_the_message_about_a_wrong_range_says_what_to_write(text, message):
    with pytest.raises(BadInput) as raised:
        read_range(text, float, whole=False)
    assert message in str(raised.value)


def test_a_list_has_each_value_once():
    assert read_choices("[0.9, 0.95, 0.9]", float) == Dimension(choices=(0.9, 0.95))


def test_a_number_from_a_range_has_four_digits_and_stays_within_the_range():
    assert Dimension(0.0001, 0.1, log=True).rounded(0.00316227766) == 0.003162
    assert Dimension(0, 0.99999).rounded(0.999989) == 0.99999


@pytest.mark.parametrize("text", ["0.0001..0.1 log", "16..128", "0.9,0.95"])
def test_a_dimension_is_shown_as_the_user_wrote_it(text):
    dimension = read_choices(text, float) if "," in text else read_range(text, float, whole=False)
    assert str(dimension) == text
    assert Dimension.from_dict(dimension.to_dict()) == dimension
