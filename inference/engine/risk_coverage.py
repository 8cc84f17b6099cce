"""Which share of the images a classifier answers if it must be sure of its answer, and how often it is right then: the
risk-coverage curve of selective classification (El-Yaniv and Wiener 2010). Plain Python and NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Most confidences of a trained network are near 1, so the thresholds are closer together there.
THRESHOLDS = np.array(
    [0.0, 0.05, 0.1, 0.15]
    + [n / 1000 for n in (*range(200, 900, 25), *range(900, 980, 20), 980, 990, 995, 998, 999)]
    + [0.9995, 0.9999, 0.99995, 0.99999]
)
MIN_ANSWERED = 0.95  # of the validation images, at the threshold that is chosen, unless
LIKELIER_RIGHT = 0.5  # is above it


@dataclass(frozen=True)
class CoveragePoint:
    """The images with a confidence of at least `threshold`: their share of all images, and what share of them is right;
    None without images."""

    threshold: float
    answered: float
    accuracy: float | None


def steps_of(confidences: np.ndarray) -> np.ndarray:
    """The number of the highest threshold that each confidence reaches."""
    return np.searchsorted(THRESHOLDS, confidences, side="right") - 1


def risk_coverage(images: np.ndarray, right: np.ndarray) -> list[CoveragePoint]:
    """The curve of how many images, and how many correct predictions, reach each threshold and not the next one."""
    reached, correct = (counts[::-1].cumsum()[::-1] for counts in (images, right))
    return [
        CoveragePoint(float(threshold), float(of / reached[0]), float(good / of) if of else None)
        for threshold, of, good in zip(THRESHOLDS, reached, correct, strict=True)
    ]


def chosen_threshold(curve: Sequence[CoveragePoint]) -> float:
    """The threshold below which an answer is unsure: the highest one at which 95 % of the images are still answered,
    but at least 0.5, because an answer with a calibrated confidence below it is likelier wrong than right.

    A target for the accuracy would not do: weak networks can't reach it, and good ones reach it without a threshold.
    """
    return max(LIKELIER_RIGHT, *(point.threshold for point in curve if point.answered >= MIN_ANSWERED))
