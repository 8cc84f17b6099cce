"""The figures of an evaluation, compared with those of scikit-learn and with counts by hand."""

from collections import Counter

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from inference.engine.classification_metrics import MAX_CONFUSED, MAX_ERRORS, ClassificationMetrics
from inference.engine.confusion_matrix import ConfusionMatrix
from inference.engine.temperature import calibrated


def random_scores(images, categories, seed=0):
    """The labels of images, and scores that sum to 1 and favour the label; float32, as ONNX Runtime computes them."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, categories - 1, images)  # no image is of the last category
    scores = rng.gamma(0.3, size=(images, categories))
    scores[np.arange(images), truths] += rng.gamma(0.6, size=images)
    return truths, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def figures_of(truths, scores, batch=7):
    evaluation = ClassificationMetrics(scores.shape[1])
    for start in range(0, len(truths), batch):
        evaluation.add(truths[start : start + batch], scores[start : start + batch])
    return evaluation.figures()


@pytest.fixture(scope="module")
def sample():
    return random_scores(500, 12)


def test_every_figure_equals_that_of_scikit_learn(sample):
    truths, scores = sample
    found, predictions, labels = figures_of(truths, scores), scores.argmax(axis=1), range(scores.shape[1])
    assert found.accuracy == metrics.accuracy_score(truths, predictions)
    assert found.top_5_accuracy == metrics.top_k_accuracy_score(truths, scores, k=5, labels=labels)
    assert found.loss == pytest.approx(metrics.log_loss(truths, scores, labels=labels), rel=1e-6)
    assert found.confusion_matrix == metrics.confusion_matrix(truths, predictions, labels=labels).tolist()
    columns = metrics.precision_recall_fscore_support(truths, predictions, labels=labels, zero_division=0)
    columns_found = [
        (category.precision, category.recall, category.f1, category.support) for category in found.categories
    ]
    np.testing.assert_allclose(np.array(columns_found).T, columns, rtol=1e-12)
    wrong = metrics.confusion_matrix(truths, predictions, labels=labels) * (1 - np.eye(len(labels), dtype=int))
    assert len(found.most_confused) == min(np.count_nonzero(wrong), MAX_CONFUSED)
    assert all(wrong[truth, prediction] == count for truth, prediction, count in found.most_confused)
    assert found.most_confused[0][2] == wrong.max()


def test_the_calibration_error_is_the_weighted_gap_of_fifteen_bins(sample):
    truths, scores = sample
    confidence, right = scores.max(axis=1).astype(float), scores.argmax(axis=1) == truths
    gaps = []
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        gaps.append(inside.mean() * abs(right[inside].mean() - confidence[inside].mean()) if inside.any() else 0)
    error = figures_of(truths, scores).calibration_error
    assert error == pytest.approx(sum(gaps), abs=1e-9)
    shares = np.bincount(np.searchsorted(np.linspace(0, 1, 16)[1:-1], confidence), minlength=15) / len(truths)
    accuracy, confidences = calibration_curve(right, confidence, n_bins=15)  # leaves out empty bins
    assert error == pytest.approx((shares[shares > 0] * np.abs(accuracy - confidences)).sum(), abs=1e-9)


@pytest.mark.parametrize("confidence, right, error", [(1.0, 1.0, 0.0), (1.0, 0.5, 0.5), (0.75, 0.75, 0.0)])
def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy(confidence, right, error):
    scores = np.tile([confidence, 1 - confidence], (100, 1))
    truths = (np.arange(100) >= 100 * right).astype(int)
    assert figures_of(truths, scores).calibration_error == pytest.approx(error)


def test_the_worst_errors_are_the_most_confident_ones_in_order(sample):
    truths, scores = sample
    wrong = [i for i in range(len(truths)) if scores[i].argmax() != truths[i]]
    most_confident = sorted(wrong, key=lambda i: -scores[i].max())[:MAX_ERRORS]
    worst = figures_of(truths, scores).worst
    assert len(wrong) > MAX_ERRORS
    assert [(error.number, error.truth, error.answer) for error in worst] == [
        (i, truths[i], scores[i].argmax()) for i in most_confident
    ]
    assert [error.confidence for error in worst] == [float(scores[i].max()) for i in most_confident]


@pytest.mark.parametrize("categories", [1000, 1500])
def test_the_most_frequent_errors_are_counted_with_a_matrix_and_without(categories):
    rng = np.random.default_rng(0)
    matrix, counted = ConfusionMatrix(categories), Counter()
    for _ in range(4):
        truths, predictions = (rng.geometric(0.01, 40_000) % categories for _ in "ab")
        matrix.add(truths, predictions)
        counted.update((t, a) for t, a in zip(truths.tolist(), predictions.tolist(), strict=True) if t != a)
    in_order = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    assert matrix.most(1000) == [(truth, prediction, count) for (truth, prediction), count in in_order[:1000]]
    assert (matrix.whole() is None) == (categories > 1000)


def test_perfect_predictions_have_no_most_confused_categories():
    assert figures_of(np.arange(12), np.eye(12, dtype=np.float32)).most_confused == []
    assert ConfusionMatrix(2000).most(5) == []


def test_more_than_a_thousand_categories_have_figures_but_no_confusion_matrix():
    truths, scores = random_scores(30, 1001)
    found = figures_of(truths, scores)
    assert found.confusion_matrix is None
    assert len(found.categories) == 1001
    assert sum(category.support for category in found.categories) == 30


def test_a_score_of_zero_for_the_truth_gives_a_finite_loss():
    assert figures_of(np.array([1]), np.array([[1, 0]], np.float32)).loss == pytest.approx(-np.log(2**-23))


def test_the_fitted_temperature_has_the_lowest_loss_and_calibrates_other_images():
    truths, scores = random_scores(4000, 5)
    sharpened = calibrated(scores, 0.4)  # a network that is too sure of itself
    found = figures_of(truths[:2000], sharpened[:2000], batch=300)
    losses = [
        metrics.log_loss(truths[:2000], calibrated(sharpened[:2000], found.temperature * factor), labels=range(5))
        for factor in (0.9, 1, 1.1)
    ]
    assert min(losses) == losses[1]
    held_out = ClassificationMetrics(5, found.temperature)
    held_out.add(truths[2000:], sharpened[2000:])
    assert held_out.figures().calibrated_error < held_out.figures().calibration_error / 2
    direct = figures_of(truths[2000:], calibrated(sharpened[2000:], found.temperature))
    assert held_out.figures().calibrated_error == pytest.approx(direct.calibration_error, abs=1e-6)


def test_calibration_changes_no_prediction_and_survives_a_score_of_zero():
    _, scores = random_scores(300, 12)
    scores[0] = np.eye(12)[3]
    changed = calibrated(scores, 3.0)
    assert (changed.argmax(axis=1) == scores.argmax(axis=1)).all()
    np.testing.assert_allclose(changed.sum(axis=1), 1)
