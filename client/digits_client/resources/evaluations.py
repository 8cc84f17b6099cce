"""Evaluations: how well a snapshot of a classifier recognizes images that it was not trained on."""

from __future__ import annotations

from typing import Any, TypeVar

from digits_client.resources.jobs import Fact, Job, Resource
from digits_client.results import CategoryResult, Confusion, CoveragePoint, WrongAnswer, optional, record, sequence

E = TypeVar("E", bound="Evaluation")


class Evaluation(Job):
    """An evaluation. Its figures are None or empty until it is Done; all but confidences are 0 to 1.

    `confusion_matrix[i][j]` is the number of images of category i that were taken for category j, in the order of
    `categories`; None with more than 1,000 categories.
    """

    RESOURCE = "evaluations"

    model_id = Fact(str)
    snapshot_epoch = Fact(float)
    split = Fact(str)
    images = Fact(optional(int))
    accuracy = Fact(optional(float))
    top_5_accuracy = Fact(optional(float))
    loss = Fact(optional(float))
    calibration_error = Fact(optional(float))
    temperature = Fact(optional(float))
    calibrated_error = Fact(optional(float))
    unsure_below = Fact(optional(float))
    risk_coverage = Fact(sequence(record(CoveragePoint)))
    categories = Fact(sequence(record(CategoryResult)))
    confusion_matrix = Fact(optional(sequence(sequence(int))))
    most_confused = Fact(sequence(record(Confusion)))
    worst_errors = Fact(sequence(record(WrongAnswer)))

    def refresh(self: E) -> E:
        empty: dict[str, Any] = {"categories": [], "confusion_matrix": None, "most_confused": [], "worst_errors": []}
        fitted: dict[str, Any] = {
            "temperature": None,
            "calibrated_error": None,
            "unsure_below": None,
            "risk_coverage": [],
        }
        self.facts = {**empty, **fitted, **self.facts}
        super().refresh()
        if self.facts["status"] == "Done":
            asked = {"split": self.facts["split"], "snapshot_epoch": self.facts["snapshot_epoch"]}
            path = f"/models/{self.facts['model_id']}/evaluation.json"
            self.facts.update(self._connection.json("GET", path, params=asked))
        return self


class Evaluations(Resource[Evaluation]):
    """The evaluations of all models. list(model=…) has those of one."""

    KIND = Evaluation
