"""The images on which models disagree: those that one model classifies correctly and another does not."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from datasets.models import Dataset
from digits_project.jobs.models import Status
from inference.image_answers import ImageAnswers, read
from models_app import evaluations
from models_app.models import TrainedModel
from models_app.results import Evaluation


class Compared(NamedTuple):
    """A model with the answers of an evaluation of it."""

    model: TrainedModel
    evaluation: Evaluation
    given: ImageAnswers


class LeftOut(NamedTuple):
    """A model that can't be compared image by image, and why. `evaluation` is one that would have to be repeated."""

    model: TrainedModel
    why: str
    evaluation: Evaluation | None = None


class Count(NamedTuple):
    """How many images a model classifies correctly, and of these no other; and which it alone classifies wrongly."""

    compared: Compared
    right: int
    only_right: int
    only_wrong: int


class Disagreement(NamedTuple):
    """An image on which the models disagree: (category, score in percent, whether it is right) of each model."""

    record: int
    truth: str
    answers: list[tuple[str, float, bool]]


class Disagreements:
    """The images of a split of one dataset on which models disagree, the surest errors first."""

    def __init__(self, dataset: Dataset, split: str, compared: Sequence[Compared], left_out: Sequence[LeftOut]):
        self.dataset, self.split, self.left_out = dataset, split, list(left_out)
        self.compared = list(compared)
        self._right = np.stack([one.given.right for one in compared]) if compared else np.zeros((0, 0), bool)
        self._sums = self._right.sum(axis=0)

    @property
    def images(self) -> int:
        return self._right.shape[1]

    @property
    def all_right(self) -> int:
        return int((self._sums == len(self.compared)).sum())

    @property
    def none_right(self) -> int:
        return int((self._sums == 0).sum())

    def counts(self) -> list[Count]:
        """The counts of each model."""
        last = len(self.compared) - 1
        return [
            Count(
                one,
                int(right.sum()),
                int((right & (self._sums == 1)).sum()),
                int((~right & (self._sums == last)).sum()),
            )
            for one, right in zip(self.compared, self._right, strict=True)
        ]

    def records(self, only: str = "") -> np.ndarray:
        """The numbers of the images, those with the surest error first. `only`: the id of the model or
        evaluation that alone classifies them correctly."""
        if len(self.compared) < 2:
            return np.zeros(0, int)
        chosen = (self._sums > 0) & (self._sums < len(self.compared))
        for one, right in zip(self.compared, self._right, strict=True):
            if only in (one.model.pk, one.evaluation.pk):
                chosen &= right & (self._sums == 1)
        confidences = np.stack([one.given.confidences for one in self.compared])
        surest = np.where(self._right, 0, confidences).max(axis=0)
        found = np.flatnonzero(chosen)
        return found[np.argsort(-surest[found], kind="stable")]

    def describe(self, record: int) -> Disagreement:
        names = self.dataset.category_names
        answers = [
            (names[one.given.answers[record]], 100 * float(one.given.confidences[record]), bool(right[record]))
            for one, right in zip(self.compared, self._right, strict=True)
        ]
        return Disagreement(record, names[self.compared[0].given.truths[record]], answers)


def disagreements(models: Sequence[TrainedModel], split: str | None = None) -> Disagreements | None:
    """The disagreements of these models on a split of the dataset of the first; by default on the first of val and test
    that has images. None without models, or without such images."""
    if not models:
        return None
    dataset = models[0].dataset
    names = [name for name in Evaluation.Split.values if dataset.entries(name)]
    chosen = split if split in names else next(iter(names), "")
    if not chosen:
        return None
    found = [_compared(model, dataset, chosen) for model in models]
    return Disagreements(
        dataset,
        chosen,
        [one for one in found if isinstance(one, Compared)],
        [one for one in found if isinstance(one, LeftOut)],
    )


def _compared(model: TrainedModel, dataset: Dataset, split: str) -> Compared | LeftOut:
    if model.dataset_id != dataset.pk:
        return LeftOut(model, "it was trained on another dataset")
    evaluation = evaluations.find(model, split)
    if evaluation is None or evaluation.status != Status.DONE:
        state = f"its evaluation is {evaluation.status}" if evaluation else "it has not been evaluated"
        return LeftOut(model, f"{state} on the {split} images")
    given = read(evaluation.directory)
    if given is None or len(given.truths) != dataset.entries(split):
        return LeftOut(model, "its evaluation does not say what it answered to each image", evaluation)
    return Compared(model, evaluation, given)
