"""Decides when a training ends before its last epoch: validation no longer improves, somebody asks for its end, or the
numbers diverge."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from digits_project.common.errors import BadInput
from models_app.training.measures import Scores

STOP_FILE = "stop"  # in the folder of a training: the server writes it to end the training after the current step
LOOK_SECONDS = 0.25  # between two looks for it, which take long on a network drive


@dataclass
class EarlyStopping:
    """Ends a training after `patience` validations in a row that did not improve on the best score; 0: never.

    The score is that of score_of(). `wait` counts the validations since the best. `best_score` and `wait` are stored in
    each snapshot, so a resumed training stops at the same validation.
    """

    patience: int = 0
    best_score: float | None = None
    wait: int = 0

    def update(self, score: float) -> None:
        """Record the score of a validation."""
        if self.best_score is None or score > self.best_score:
            self.best_score, self.wait = score, 0
        else:
            self.wait += 1

    def begin_anew(self) -> None:
        """Count the validations from here on, but keep the best score."""
        self.wait = 0

    @property
    def is_over(self) -> bool:
        return 0 < self.patience <= self.wait

    def ends_plateau(self, length: int) -> bool:
        """Whether the last validation ends a plateau: `length` validations in a row without a better score."""
        return self.wait > 0 and self.wait % length == 0


class StopRequest:
    """The request to end the training in a folder early: the file STOP_FILE. A request can't be withdrawn."""

    def __init__(self, directory: str) -> None:
        self._file = Path(directory) / STOP_FILE
        self._is_made = False
        self._looked = float("-inf")

    def is_made(self) -> bool:
        """Whether there is the request; it looks every LOOK_SECONDS."""
        if not self._is_made and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self._is_made = self._file.exists()
        return self._is_made


def score_of(scores: Scores) -> float:
    """How good a validation was: its accuracy or, for a network without one, the negative loss. More is better."""
    return -scores.loss if scores.accuracy is None else scores.accuracy


class Diverged(BadInput):
    """The loss, the weights or the outputs are no longer finite numbers, or too large to compute with. A lower learning
    rate usually helps."""

    def __init__(self, what: str, epoch: float, learning_rate: float) -> None:
        super().__init__(
            f"{what} at epoch {epoch:g}: the training has diverged. "
            f"Try decreasing your learning rate (it is {learning_rate:g})."
        )
