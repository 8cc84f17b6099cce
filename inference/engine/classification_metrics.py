"""Computes metrics of scores against true categories, batch by batch, in constant memory. Plain Python."""

from dataclasses import dataclass

import numpy as np

from inference.engine.calibration_bins import BINS, bins_of, calibration_error
from inference.engine.confusion_matrix import ConfusionMatrix
from inference.engine.risk_coverage import CoveragePoint, chosen_threshold
from inference.engine.temperature import TemperatureFit

MAX_ERRORS = 50
MAX_CONFUSED = 100
TOP = 5
MIN_SCORE = float(np.finfo(np.float32).eps)  # of a score in the loss, so that its logarithm is finite


@dataclass(frozen=True)
class OfCategory:
    """The metrics of one category: precision, recall, their harmonic mean (f1), and the number of its images (support).
    A ratio without images is 0."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Wrong:
    """A misclassified image: its number, true category, predicted category and confidence."""

    number: int
    truth: int
    answer: int
    confidence: float


@dataclass(frozen=True)
class CalibrationBin:
    """The images with a confidence in one of the bins: their number, and if there are any what share of them is right
    and their mean confidence."""

    images: int
    accuracy: float | None
    confidence: float | None


@dataclass(frozen=True)
class Figures:
    """The result of an evaluation; ratios and confidences are 0 to 1.

    `loss` is the mean of -log(score of the true category). `calibration_error` is the expected calibration error of the
    confidences, the highest score of each image (Naeini et al. 2015, Guo et al. 2017):

        Σ_b |B_b|/N · |accuracy(B_b) - mean confidence(B_b)|

    over 15 bins, where B_b are the images with a confidence in ((b-1)/15, b/15]; `calibration` are these bins.
    `calibrated_error` is that of the confidences at `temperature`, which is fitted on these images or given. Of these
    confidences `risk_coverage` says for each threshold what share of the images reaches it, and how many of them are
    right; `unsure_below` is the threshold that is chosen on these images or given.
    `confusion_matrix[i][j]` counts the images of category i that were predicted as j; None with more than 1000
    categories. `most_confused` are (category, predicted category, number of images), most frequent first, at most 100.
    `worst` are the errors with the highest confidence, at most 50.
    """

    images: int
    accuracy: float
    top_5_accuracy: float
    loss: float
    calibration_error: float
    calibration: list[CalibrationBin]
    temperature: float
    calibrated_error: float
    risk_coverage: list[CoveragePoint]
    unsure_below: float
    categories: list[OfCategory]
    confusion_matrix: list[list[int]] | None
    most_confused: list[tuple[int, int, int]]
    worst: list[Wrong]


class ClassificationMetrics:
    """Collects scores and true categories. The temperature of the calibration and the threshold of unsure answers are
    fitted on them, unless they are given."""

    def __init__(self, categories: int, temperature: float | None = None, unsure_below: float | None = None):
        self._temperature = temperature
        self._unsure_below = unsure_below
        self._fit = TemperatureFit()
        self._images = self._among_best = 0
        self._loss = 0.0
        self._matrix = ConfusionMatrix(categories)
        self._bins = np.zeros((3, BINS))  # images, correct predictions, sum of confidences
        self._worst: list[Wrong] = []

    def add(self, truths: np.ndarray, scores: np.ndarray) -> None:
        """Add the next images: their true categories (int N) and scores from 0 to 1 (N×categories)."""
        self._fit.add(truths, scores)
        rows, best = np.arange(len(truths)), np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
        answers, scores = best[:, 0], scores.astype(np.float64)
        confidences, right = scores[rows, answers], answers == truths
        self._loss -= np.log(np.clip(scores[rows, truths], MIN_SCORE, 1)).sum()
        self._among_best += int((best == truths[:, None]).any(axis=1).sum())
        self._matrix.add(truths, answers)
        self._add_to_bins(confidences, right)
        self._keep_worst(truths, answers, confidences)
        self._images += len(truths)

    def _add_to_bins(self, confidences: np.ndarray, right: np.ndarray) -> None:
        number = bins_of(confidences)
        for sums, summand in zip(self._bins, (np.ones_like(confidences), right, confidences), strict=True):
            sums += np.bincount(number, weights=summand, minlength=BINS)

    def _keep_worst(self, truths: np.ndarray, answers: np.ndarray, confidences: np.ndarray) -> None:
        wrong = np.flatnonzero(answers != truths)
        surest = wrong[np.argsort(-confidences[wrong], kind="stable")[:MAX_ERRORS]]
        self._worst += [
            Wrong(self._images + int(row), int(truths[row]), int(answers[row]), float(confidences[row]))
            for row in surest
        ]
        self._worst = sorted(self._worst, key=lambda error: -error.confidence)[:MAX_ERRORS]

    def figures(self) -> Figures:
        """The result for all added images, at least one."""
        support, answered, hits = self._matrix.support, self._matrix.answered, self._matrix.right
        f1 = _ratio(2 * hits, answered + support)
        columns = (array.tolist() for array in (_ratio(hits, answered), _ratio(hits, support), f1, support))
        images, right, confidences = self._bins
        temperature = self._temperature or self._fit.temperature()
        curve = self._fit.coverage_at(temperature)
        return Figures(
            images=self._images,
            accuracy=int(hits.sum()) / self._images,
            top_5_accuracy=self._among_best / self._images,
            loss=float(self._loss) / self._images,
            calibration_error=calibration_error(right, confidences, self._images),
            calibration=[_bin(*sums) for sums in zip(images, right, confidences, strict=True)],
            temperature=temperature,
            calibrated_error=self._fit.error_at(temperature),
            risk_coverage=curve,
            unsure_below=chosen_threshold(curve) if self._unsure_below is None else self._unsure_below,
            categories=[OfCategory(*row) for row in zip(*columns, strict=True)],
            confusion_matrix=self._matrix.whole(),
            most_confused=self._matrix.most(MAX_CONFUSED),
            worst=self._worst,
        )


def _bin(images: float, right: float, confidences: float) -> CalibrationBin:
    if not images:
        return CalibrationBin(0, None, None)
    return CalibrationBin(int(images), float(right / images), float(confidences / images))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
