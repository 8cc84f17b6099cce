"""What a snapshot answered to each image of a split: a file in the folder of its evaluation."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from digits_project.common.errors import NOT_ARRAYS

FILE = "answers.npz"


class ImageAnswers(NamedTuple):
    """Of each image the true category, the predicted one (int32), and its score (float32)."""

    truths: np.ndarray
    answers: np.ndarray
    confidences: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Whether each prediction is right."""
        return self.answers == self.truths


class Collected:
    """Collects the answers of an evaluation, twelve bytes an image."""

    def __init__(self) -> None:
        self._parts: list[ImageAnswers] = []

    def add(self, truths: np.ndarray, scores: np.ndarray) -> None:
        """Add the next images: their true categories (N) and scores (N×categories)."""
        answers = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), answers]
        self._parts.append(ImageAnswers(truths.astype(np.int32), answers.astype(np.int32), best.astype(np.float32)))

    def write(self, directory: Path) -> None:
        """Write the file; a reader sees all of it or none."""
        partial = directory / f".{FILE}"
        truths, answers, confidences = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        with partial.open("wb") as file:
            np.savez(file, truths=truths, answers=answers, confidences=confidences)
        partial.replace(directory / FILE)


def read(directory: Path) -> ImageAnswers | None:
    """The answers of an evaluation in its folder; None if it has no whole file, as those of earlier versions."""
    try:
        with (directory / FILE).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return ImageAnswers(*(stored[name] for name in ImageAnswers._fields))
    except (OSError, *NOT_ARRAYS):
        return None
