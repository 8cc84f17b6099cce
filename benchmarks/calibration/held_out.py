"""What a temperature and a threshold that were fitted on one half of the images do on the other half, on average over
random divisions: the error of 250 images is a matter of chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.calibration.trained_scores import Scored
from inference.engine.calibration_bins import BINS, bins_of, calibration_error
from inference.engine.classification_metrics import ClassificationMetrics
from inference.engine.temperature import calibrated

DIVISIONS = 20


@dataclass(frozen=True)
class HeldOut:
    """Means over the divisions, of the half that nothing was fitted on. `lower`: the share of the divisions in which
    the calibration error is lower after calibration, `kept`: in which the temperature is 1. `changed`: how many
    predictions calibration changes. `answered`, `right`: at the threshold that was chosen; `unknown_unsure`: the share
    of the images of unknown categories that are below it."""

    accuracy: float
    temperature: float
    before: float
    after: float
    lower: float
    kept: float
    changed: float
    threshold: float
    answered: float
    right: float
    unknown_unsure: float


def held_out(scored: Scored) -> HeldOut:
    """The means of 20 divisions."""
    rows = [_of_division(scored, np.random.default_rng(seed)) for seed in range(DIVISIONS)]
    return HeldOut(*np.mean(rows, axis=0).tolist())


def _of_division(scored: Scored, random: np.random.Generator) -> tuple[float, ...]:
    order = random.permutation(len(scored.truths))
    fitted, other = np.array_split(order, 2)
    metrics = ClassificationMetrics(scored.scores.shape[1])
    metrics.add(scored.truths[fitted], scored.scores[fitted])
    found = metrics.figures()
    scores, truths = scored.scores[other], scored.truths[other]
    after = calibrated(scores, found.temperature)
    right, confidences = scores.argmax(axis=1) == truths, after.max(axis=1)
    answered = confidences >= found.unsure_below
    unknown = np.zeros(0)
    if len(scored.unknown):
        unknown = calibrated(scored.unknown, found.temperature).max(axis=1)
    errors = _error(calibrated(scores, 1.0), truths), _error(after, truths)
    return (
        right.mean(),
        found.temperature,
        *errors,
        errors[1] < errors[0],
        found.temperature == 1,
        (after.argmax(axis=1) != scores.argmax(axis=1)).sum(),
        found.unsure_below,
        answered.mean(),
        right[answered].mean() if answered.any() else 1.0,
        (unknown < found.unsure_below).mean() if len(unknown) else 0.0,
    )


def _error(scores: np.ndarray, truths: np.ndarray) -> float:
    confidences, right = scores.max(axis=1), scores.argmax(axis=1) == truths
    number = bins_of(confidences)
    sums = (np.bincount(number, weights=weights, minlength=BINS) for weights in (right, confidences))
    return calibration_error(*sums, len(truths))
