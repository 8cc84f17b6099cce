"""Statistics of shares of images: intervals, and the test of two classifiers on the same images. Plain Python."""

from __future__ import annotations

import math
from typing import NamedTuple

Z = 1.959964  # of a normal distribution: 95 % lie within so many standard deviations
MIN_FOR_CHI_SQUARED = 25  # images on which the two differ; with fewer the test is exact
EXACT, CHI_SQUARED = "exact", "chi-squared"


class Interval(NamedTuple):
    """The ends of a 95 % confidence interval."""

    low: float
    high: float


class McNemar(NamedTuple):
    """The test of whether two classifiers are equally good.

    p_value: how often chance alone makes so large a difference if they are. statistic: None for the exact test.
    """

    method: str
    p_value: float
    statistic: float | None


def wilson(right: int, images: int) -> Interval:
    """The interval of a share of images (Wilson 1927), which is never outside of 0 to 1. Without images 0 to 1."""
    if not images:
        return Interval(0.0, 1.0)
    share, square = right / images, Z * Z
    middle = (share + square / (2 * images)) / (1 + square / images)
    half = Z * math.sqrt(share * (1 - share) / images + square / (4 * images**2)) / (1 + square / images)
    low = 0.0 if right == 0 else middle - half
    return Interval(low, 1.0 if right == images else middle + half)


def mcnemar(only_a: int, only_b: int) -> McNemar:
    """McNemar's test (1947). only_a, only_b: the images that only one of the two classifies correctly.

    Exact, by the binomial distribution, for few such images, else by chi-squared with Edwards's continuity correction.
    """
    differ = only_a + only_b
    if differ < MIN_FOR_CHI_SQUARED:
        tail = sum(math.comb(differ, count) for count in range(min(only_a, only_b) + 1))
        return McNemar(EXACT, min(1.0, 2 * tail / 2**differ), None)
    statistic = max(0, abs(only_a - only_b) - 1) ** 2 / differ
    return McNemar(CHI_SQUARED, math.erfc(math.sqrt(statistic / 2)), statistic)


def difference_interval(only_a: int, only_b: int, images: int) -> Interval:
    """The interval of b's accuracy minus a's, measured on the same images (Agresti and Min 2005: Wald's interval after
    half an image is added to each of the four counts)."""
    a, b, total = only_a + 0.5, only_b + 0.5, images + 2
    middle = (b - a) / total
    half = Z * math.sqrt((a + b) / total - middle**2) / math.sqrt(total)
    return Interval(max(-1.0, middle - half), min(1.0, middle + half))
