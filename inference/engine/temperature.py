"""Temperature scaling: one number that makes the confidences of a network agree with how often it is right (Guo et al.
2017, "On Calibration of Modern Neural Networks"). Plain Python and NumPy.

Logits divided by T give scores p^(1/T), scaled to a sum of 1. The best category of an image stays the same.
"""

import numpy as np

from inference.engine.calibration_bins import BINS, bins_of, calibration_error

STEP = 1.04  # between two temperatures that are tried
STEPS = 50  # in each direction from 1: 0.14 to 7.1
TEMPERATURES = STEP ** np.arange(-STEPS, STEPS + 1)
MAX_NUMBERS = 1 << 20  # of an array
LEAST = float(np.finfo(np.float32).tiny)  # replaces a score of 0


class TemperatureFit:
    """Collects scores and true categories batch by batch, and finds the temperature with the lowest loss, in constant
    memory: all temperatures are tried on each batch."""

    def __init__(self) -> None:
        self._images = 0
        self._losses = np.zeros(len(TEMPERATURES))
        self._sums = np.zeros((3, len(TEMPERATURES) * BINS))  # images, correct predictions, sum of confidences

    def add(self, truths: np.ndarray, scores: np.ndarray) -> None:
        """Add images: their true categories, int N, and scores from 0 to 1, N×categories."""
        logs = np.log(np.maximum(scores, LEAST)).astype(np.float64)
        best = logs.argmax(axis=1)
        logs -= logs.max(axis=1, keepdims=True)
        self._images += len(truths)
        some = max(1, MAX_NUMBERS // logs.size)
        for first in range(0, len(TEMPERATURES), some):
            self._add_for(range(first, min(first + some, len(TEMPERATURES))), logs, truths, best == truths)

    def _add_for(self, numbers: range, logs: np.ndarray, truths: np.ndarray, right: np.ndarray) -> None:
        scaled = logs / TEMPERATURES[numbers.start : numbers.stop, None, None]
        sums = np.exp(scaled).sum(axis=2)  # temperatures × images; the power of the best category is 1
        of_truths = scaled[:, np.arange(len(truths)), truths]
        self._losses[numbers.start : numbers.stop] += (np.log(sums) - of_truths).sum(axis=1)
        confidences = 1 / sums
        places = (bins_of(confidences) + BINS * np.array(numbers)[:, None]).ravel()
        summands = (np.ones(confidences.size), np.broadcast_to(right, confidences.shape).ravel(), confidences.ravel())
        for total, summand in zip(self._sums, summands, strict=True):
            total += np.bincount(places, weights=summand, minlength=total.size)

    def temperature(self) -> float:
        """The temperature with the lowest loss."""
        return float(TEMPERATURES[self._losses.argmin()])

    def error_at(self, temperature: float) -> float:
        """The expected calibration error of the added images, 0 to 1, at one of the temperatures."""
        number = int(np.abs(TEMPERATURES - temperature).argmin())
        _, right, confidences = self._sums[:, number * BINS : (number + 1) * BINS]
        return calibration_error(right, confidences, self._images)


def calibrated(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Scores, N×categories, at a temperature, as float64."""
    logs = np.log(np.maximum(scores, LEAST)).astype(np.float64) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
