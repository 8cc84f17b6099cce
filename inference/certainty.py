"""Whether an answer is sure enough: its confidence, calibrated if it can be, against a threshold."""

from dataclasses import dataclass

import numpy as np

from inference.engine.temperature import calibrated
from models_app.models import Snapshot


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
