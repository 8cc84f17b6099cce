"""The bins of confidences by which calibration is measured. Plain Python and NumPy."""

import numpy as np

BINS = 15


def bins_of(confidences: np.ndarray) -> np.ndarray:
    """The number of the bin of each confidence: those in (b/15, (b+1)/15] are in bin b."""
    return np.clip(np.ceil(confidences * BINS).astype(int) - 1, 0, BINS - 1)


def calibration_error(right: np.ndarray, confidences: np.ndarray, images: int) -> float:
    """The expected calibration error (Naeini et al. 2015), 0 to 1, of how many predictions of each bin are right, and
    the sums of their confidences."""
    return float(np.abs(right - confidences).sum()) / images
