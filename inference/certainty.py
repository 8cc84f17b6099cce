"""Whether an answer is sure enough: its confidence, calibrated if it can be, against a threshold."""

from dataclasses import dataclass

import numpy as np

from digits_project.jobs.models import Status
from inference.engine.temperature import calibrated
from models_app import evaluations
from models_app.models import Snapshot
from models_app.results import Evaluation


@dataclass(frozen=True)
class Certainty:
    """The confidence of an answer, 0 to 1, at a temperature (None: as the network gives it), and the threshold below
    which it is unsure; None without one."""

    confidence: float
    threshold: float | None
    temperature: float | None

    @property
    def unsure(self) -> bool | None:
        """Whether the image perhaps shows none of the categories; None without a threshold."""
        return None if self.threshold is None else self.confidence < self.threshold

    def as_json(self) -> dict[str, bool | float | None]:
        """The facts as a response has them."""
        facts = {"confidence": round(self.confidence, 6), "threshold": self.threshold, "temperature": self.temperature}
        return {"unsure": self.unsure, **facts}


def certainties(snapshot: Snapshot, scores: np.ndarray, unsure_below: float | None = None) -> list[Certainty]:
    """The certainty of each answer, by the snapshot's scores, N×categories. The threshold is `unsure_below`, else that
    of the evaluation on the validation images."""
    threshold = snapshot.unsure_below if unsure_below is None else unsure_below
    temperature = snapshot.temperature
    best = (scores if temperature is None else calibrated(scores, temperature)).max(axis=1, initial=0)
    return [Certainty(float(confidence), threshold, temperature) for confidence in best]


def how_to_fit(snapshot: Snapshot) -> str:
    """A message: what to do so that a snapshot without a temperature, or without a threshold, gets both; or the reason
    why it can't have them."""
    model, split = snapshot.trained_model, Evaluation.Split.VAL
    if reason := evaluations.reason_against(model, split, snapshot.epoch):
        return reason
    made = evaluations.find(model, split, snapshot.epoch)
    if made is not None and made.status == Status.DONE:
        return f"An earlier version of the server made the evaluation {made.pk}: delete it and evaluate again."
    return "Evaluate this snapshot on the validation images, which fits its temperature and its threshold."
