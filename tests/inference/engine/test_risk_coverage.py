"""The risk-coverage curve, compared with counts by hand, and the threshold that is chosen on it."""

import numpy as np
import pytest

from inference.engine.classification_metrics import ClassificationMetrics
from inference.engine.risk_coverage import CoveragePoint, chosen_threshold
from inference.engine.temperature import TemperatureFit, calibrated
from tests.inference.engine.test_evaluation import random_scores


def figures_of(truths, scores, *given):
    metrics = ClassificationMetrics(scores.shape[1], *given)
    for start in range(0, len(truths), 90):
        metrics.add(truths[start : start + 90], scores[start : start + 90])
    return metrics.figures()


def test_each_point_counts_the_images_whose_calibrated_confidence_reaches_the_threshold():
    truths, scores = random_scores(500, 6)
    found = figures_of(truths, calibrated(scores, 0.4))
    confidences, right = calibrated(calibrated(scores, 0.4), found.temperature).max(axis=1), scores.argmax(1) == truths
    assert found.temperature > 1.5
    assert len(found.risk_coverage) <= 50
    for point in found.risk_coverage:
        answered = confidences >= point.threshold
        assert point.answered == answered.mean()
        assert point.accuracy == (pytest.approx(right[answered].mean()) if answered.any() else None)
    assert found.risk_coverage[0] == CoveragePoint(0.0, 1.0, found.accuracy)


def test_nineteen_of_twenty_images_are_answered_at_the_chosen_threshold_even_without_an_error():
    truths, scores = random_scores(1000, 4)
    truths = scores.argmax(axis=1)
    found = figures_of(truths, scores)
    chosen = next(point for point in found.risk_coverage if point.threshold == found.unsure_below)
    assert found.accuracy == chosen.accuracy == 1
    assert 0.95 <= chosen.answered < 0.96
    assert found.unsure_below > 0.5


def test_an_answer_that_is_likelier_wrong_than_right_is_always_unsure():
    curve = [CoveragePoint(threshold, 1.0, 0.3) for threshold in (0.0, 0.2, 0.25)] + [CoveragePoint(0.9, 0.1, 0.8)]
    assert chosen_threshold(curve) == 0.5


def test_images_of_another_split_are_judged_by_the_threshold_that_is_given():
    truths, scores = random_scores(200, 4)
    assert figures_of(truths, scores, 1.5, 0.7).unsure_below == 0.7


def test_a_network_whose_confidences_are_right_keeps_them():
    """Of labels that are drawn by the scores themselves, no temperature is better than 1 but by chance."""
    _, scores = random_scores(400, 5)
    scores = calibrated(scores, 2.0).astype(np.float32)
    draws = np.random.default_rng(3).random((400, 1))
    truths = (scores.cumsum(axis=1) < draws).sum(axis=1).clip(max=4)
    assert figures_of(truths, scores).temperature == 1
    fit = TemperatureFit()
    fit.add(truths, calibrated(scores, 0.5))
    assert fit.temperature() == pytest.approx(2, rel=0.2)


def test_scores_that_differ_by_one_bit_keep_their_order():
    nearly = np.nextafter(np.float32(4e-5), np.float32(1))
    scores = np.full((1, 25_000), (1 - 2 * 4e-5) / 24_998, np.float32) / 10
    scores[0, 7], scores[0, 9] = 4e-5, nearly
    assert calibrated(scores, 7.0).argmax() == 9


@pytest.mark.parametrize("images", [1, 2, 9])
def test_no_temperature_is_fitted_to_a_few_images(images):
    fit = TemperatureFit()
    fit.add(np.zeros(images, int), np.tile(np.float32([0.8, 0.2]), (images, 1)))
    assert fit.temperature() == 1
