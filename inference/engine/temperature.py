"""Temperature scaling: one number that makes the confidences of a network agree with how often it is right (Guo et al.
2017, "On Calibration of Modern Neural Networks"). Plain Python and NumPy.

Logits divided by T give scores p^(1/T), scaled to a sum of 1. The best category of an image stays the same.
"""

import numpy as np

from inference.engine.calibration_bins import BINS, bins_of, calibration_error
from inference.engine.risk_coverage import THRESHOLDS, CoveragePoint, risk_coverage, steps_of

STEP = 1.04  # between two temperatures that are tried
STEPS = 50  # in each direction from 1: 0.14 to 7.1
TEMPERATURES = STEP ** np.arange(-STEPS, STEPS + 1)
FOLDS = 5  # of the cross-validation
MIN_IMAGES = 2 * FOLDS  # with fewer the folds are nearly empty, and a standard error is a matter of chance too
MAX_NUMBERS = 1 << 20  # of an array
LEAST = float(np.finfo(np.float32).tiny)  # replaces a score of 0


class TemperatureFit:
    """Collects scores and true categories batch by batch, and finds the temperature with the lowest loss, in constant
    memory: all temperatures are tried on each batch."""

    def __init__(self) -> None:
        self._images = 0
        self._gains = np.zeros((FOLDS, len(TEMPERATURES)))  # how much lower the loss is than at 1, over the images
        self._squares = np.zeros((FOLDS, len(TEMPERATURES)))  # of these differences
        self._sums = np.zeros((3, len(TEMPERATURES) * BINS))  # images, correct predictions, sum of confidences
        self._answers = np.zeros((2, len(TEMPERATURES) * len(THRESHOLDS)))  # images, correct predictions

    def add(self, truths: np.ndarray, scores: np.ndarray) -> None:
        """Add images: their true categories, int N, and scores from 0 to 1, N×categories."""
        logs = _logarithms(scores)
        right = logs.argmax(axis=1) == truths
        logs -= logs.max(axis=1, keepdims=True)
        rows = np.arange(len(truths))
        unchanged = np.log(np.exp(logs).sum(axis=1)) - logs[rows, truths]
        folds = np.eye(FOLDS)[(self._images + rows) % FOLDS]
        self._images += len(truths)
        some = max(1, MAX_NUMBERS // logs.size)
        for first in range(0, len(TEMPERATURES), some):
            numbers = range(first, min(first + some, len(TEMPERATURES)))
            scaled = logs / TEMPERATURES[numbers.start : numbers.stop, None, None]
            sums = np.exp(scaled).sum(axis=2)  # temperatures × images; the power of the best category is 1
            gains = unchanged - np.log(sums) + scaled[:, rows, truths]
            self._gains[:, numbers.start : numbers.stop] += (gains @ folds).T
            self._squares[:, numbers.start : numbers.stop] += (gains**2 @ folds).T
            self._count(numbers, 1 / sums, right)

    def _count(self, numbers: range, confidences: np.ndarray, right: np.ndarray) -> None:
        weights = (
            np.ones(confidences.size),
            np.broadcast_to(right, confidences.shape).ravel(),
            confidences.ravel(),
        )
        for totals, places, size in (
            (self._sums, bins_of(confidences), BINS),
            (self._answers, steps_of(confidences), len(THRESHOLDS)),
        ):
            flat = (places + size * np.array(numbers)[:, None]).ravel()
            for total, weight in zip(totals, weights, strict=False):
                total += np.bincount(flat, weights=weight, minlength=total.size)

    def temperature(self) -> float:
        """The temperature with the lowest loss; 1 unless such a temperature lowers the loss of images that it was not
        fitted on too, by more than a standard error (five-fold cross-validation). Otherwise a network whose confidences
        are right, within what so few images can tell, would get a random temperature and be calibrated worse. With
        fewer than MIN_IMAGES it is 1."""
        if self._images < MIN_IMAGES:
            return 1.0
        whole = self._gains.sum(axis=0)
        fitted = np.arange(FOLDS), (whole - self._gains).argmax(axis=1)  # of each fold, on the others
        gain, squares = self._gains[fitted].sum(), self._squares[fitted].sum()
        if gain <= np.sqrt(max(0.0, squares - gain**2 / self._images)):
            return 1.0
        return float(TEMPERATURES[whole.argmax()])

    def error_at(self, temperature: float) -> float:
        """The expected calibration error of the added images, 0 to 1, at one of the temperatures."""
        number = _number_of(temperature)
        _, right, confidences = self._sums[:, number * BINS : (number + 1) * BINS]
        return calibration_error(right, confidences, self._images)

    def coverage_at(self, temperature: float) -> list[CoveragePoint]:
        """The risk-coverage curve of the added images at one of the temperatures."""
        number, steps = _number_of(temperature), len(THRESHOLDS)
        return risk_coverage(*self._answers[:, number * steps : (number + 1) * steps])


def calibrated(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Scores, N×categories, at a temperature, as float64."""
    logs = _logarithms(scores) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _logarithms(scores: np.ndarray) -> np.ndarray:
    """In float64: two scores that differ in float32 may have the same logarithm there, and another would be best."""
    return np.log(np.maximum(scores.astype(np.float64), LEAST))


def _number_of(temperature: float) -> int:
    return int(np.abs(TEMPERATURES - temperature).argmin())
