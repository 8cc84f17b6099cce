"""Statistics of shares, against published figures."""

import pytest

from inference.judging.proportions import difference_interval, mcnemar, wilson


@pytest.mark.parametrize(
    "right, images, low, high",
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_that_of_newcombes_table(right, images, low, high):
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    assert wilson(right, images) == pytest.approx((low, high), abs=5e-5)


def test_wilsons_interval_of_no_images_says_nothing_and_that_of_all_right_ends_at_one():
    assert wilson(0, 0) == (0, 1)
    assert wilson(20, 20) == pytest.approx((1 - 0.1611, 1), abs=5e-5)
    assert wilson(20, 20).high == 1


def test_mcnemars_test_is_exact_where_two_classifiers_differ_on_few_images():
    """6 and 16 discordant pairs: the example of Wikipedia's article, exact P = 0.053."""
    found = mcnemar(6, 16)
    assert (found.method, found.statistic) == ("exact", None)
    assert found.p_value == pytest.approx(0.0525, abs=5e-5)
    assert mcnemar(16, 6) == found


def test_mcnemars_test_is_chi_squared_with_continuity_correction_where_they_differ_on_many():
    """25 and 15 discordant pairs: the example of mlxtend's documentation; 0 and 2 for R's formula at large numbers."""
    found = mcnemar(25, 15)
    assert found.method == "chi-squared"
    assert (found.statistic, found.p_value) == pytest.approx((2.025, 0.154729), abs=1e-6)
    assert mcnemar(86, 150).statistic == pytest.approx(63**2 / 236)


def test_equal_numbers_of_images_are_no_difference():
    assert [mcnemar(count, count).p_value for count in (0, 5, 50)] == [1, 1, 1]


def test_the_interval_of_a_difference_holds_it_and_narrows_with_the_images():
    """Agresti, Categorical Data Analysis (2002), 10.1.1: 150 and 86 of 1600 differ, 0.04 with 0.02 to 0.06."""
    low, high = difference_interval(86, 150, 1600)
    assert (low, high) == pytest.approx((0.0213, 0.0587), abs=2e-4)
    fewer = difference_interval(9, 15, 160)
    assert fewer.low < low < high < fewer.high
    assert difference_interval(0, 0, 1) == pytest.approx((-1, 1), abs=0.5)
