"""Compares two evaluations on the same images: which is right where the other is wrong, and whether that is chance."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from django.db.models import QuerySet

from digits_project.jobs.models import Status
from digits_project.jobs.visibility import is_visible, named, visible
from inference import image_answers
from inference.disagreements import Compared, Disagreement, Disagreements
from inference.judging.proportions import Interval, McNemar, difference_interval, mcnemar
from models_app.results import Evaluation

MAX_OFFERED = 200  # evaluations to choose from
RARELY = 0.001  # a smaller probability is not said to the digit


class CanNotCompare(Exception):
    """Two evaluations that can't be compared; the text says why. `again`: those that would have to be repeated."""

    def __init__(self, why: str, again: Sequence[Evaluation] = ()) -> None:
        super().__init__(why)
        self.again = list(again)


class CategoryDifference(NamedTuple):
    """The images of one category: how many each of the two classifies correctly, and how many only one of them."""

    category: str
    images: int
    a_right: int
    b_right: int
    only_a_right: int
    only_b_right: int

    @property
    def difference(self) -> float:
        """The share of them that b recognizes, minus that of a."""
        return (self.b_right - self.a_right) / self.images

    @property
    def a(self) -> float:
        return self.a_right / self.images

    @property
    def b(self) -> float:
        return self.b_right / self.images


class EvaluationPair:
    """Two evaluations, a and b, on the same images. Raises CanNotCompare."""

    def __init__(self, a: Evaluation, b: Evaluation) -> None:
        _refuse_others(a, b)
        self.a, self.b = _compared_pair(a, b)
        self.dataset, self.split = a.trained_model.dataset, a.split
        self._disagreements = Disagreements(self.dataset, self.split, [self.a, self.b], [])
        of_a, of_b = self.a.given.right, self.b.given.right
        self.images = len(of_a)
        self.both_right, self.both_wrong = int((of_a & of_b).sum()), int((~of_a & ~of_b).sum())
        self.only_a_right, self.only_b_right = int((of_a & ~of_b).sum()), int((~of_a & of_b).sum())

    @property
    def a_accuracy(self) -> float:
        return (self.both_right + self.only_a_right) / self.images

    @property
    def b_accuracy(self) -> float:
        return (self.both_right + self.only_b_right) / self.images

    @property
    def difference(self) -> float:
        """The accuracy of b minus that of a."""
        return (self.only_b_right - self.only_a_right) / self.images

    @property
    def interval(self) -> Interval:
        """The 95 % confidence interval of the difference."""
        return difference_interval(self.only_a_right, self.only_b_right, self.images)

    @property
    def test(self) -> McNemar:
        return mcnemar(self.only_a_right, self.only_b_right)

    @property
    def sentence(self) -> str:
        """The result in words."""
        if not self.only_a_right + self.only_b_right:
            return "Both are right and wrong on the same images."
        return (
            f"B is right on {_images(self.only_b_right)} that A gets wrong, and wrong on {_images(self.only_a_right)} "
            f"that A gets right; if both were equally good, so large a difference would come by chance in "
            f"{_percent(self.test.p_value)} of such comparisons."
        )

    def categories(self) -> list[CategoryDifference]:
        """The categories that have images, those with the largest difference first."""
        truths, names = self.a.given.truths, self.dataset.category_names
        of_a, of_b = self.a.given.right, self.b.given.right
        chosen = (np.ones(self.images, bool), of_a, of_b, of_a & ~of_b, ~of_a & of_b)
        counts = np.stack([np.bincount(truths[some], minlength=len(names)) for some in chosen], axis=1)
        rows = [CategoryDifference(name, *map(int, row)) for name, row in zip(names, counts, strict=True) if row[0]]
        return sorted(rows, key=lambda row: (-abs(row.difference), -row.images, row.category))

    def records(self, only: str = "") -> np.ndarray:
        """The numbers of the images that only one classifies correctly, the surest error of the other first.

        only: "a" or "b", which of them is right; "" for either."""
        chosen = {"a": self.a.evaluation.pk, "b": self.b.evaluation.pk}
        return self._disagreements.records(chosen.get(only, ""))

    def describe(self, record: int) -> Disagreement:
        """The answers of a and b to an image."""
        return self._disagreements.describe(record)

    @property
    def disagreements(self) -> Disagreements:
        return self._disagreements


def comparable(evaluation: Evaluation) -> QuerySet:
    """The visible evaluations that are Done on the same images, the most accurate first, as many as a page offers."""
    same = {"trained_model__dataset": evaluation.trained_model.dataset_id, "split": evaluation.split}
    found = visible(Evaluation).filter(status=Status.DONE, **same).exclude(pk=evaluation.pk)
    found = found.select_related("trained_model").defer(*Evaluation.LARGE)
    return found.order_by("-accuracy", "-ended_at")[:MAX_OFFERED]


def _refuse_others(a: Evaluation, b: Evaluation) -> None:
    if a.pk == b.pk:
        raise CanNotCompare("These are the same evaluation; name another one.")
    differing = []
    if a.trained_model.dataset_id != b.trained_model.dataset_id:
        differing.append(f"the dataset ({' and '.join(_name_of_dataset(one) for one in (a, b))})")
    if a.split != b.split:
        differing.append(f"the split ({a.split} and {b.split})")
    if differing:
        raise CanNotCompare(
            f"Only evaluations on the same images can be compared, but these differ in {' and '.join(differing)}."
        )
    for one in (a, b):
        if one.status != Status.DONE:
            raise CanNotCompare(f"The evaluation {one.name} is {one.status}; it can be compared once it is Done.")


def _name_of_dataset(evaluation: Evaluation) -> str:
    dataset = evaluation.trained_model.dataset
    return dataset.name if is_visible(dataset) else named(dataset)


def _compared_pair(a: Evaluation, b: Evaluation) -> tuple[Compared, Compared]:
    count, answers = a.trained_model.dataset.entries(a.split), {}
    for one in (a, b):
        given = image_answers.read(one.directory)
        if given is not None and len(given.truths) == count:
            answers[one.pk] = given
    if again := [one for one in (a, b) if one.pk not in answers]:
        names = " and ".join(one.name for one in again)
        remedy = "An earlier version of the server made it: delete it and evaluate again."
        raise CanNotCompare(f"What was answered to each image is not stored with {names}. {remedy}", again)
    return Compared(a.trained_model, a, answers[a.pk]), Compared(b.trained_model, b, answers[b.pk])


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _percent(probability: float) -> str:
    if probability < RARELY:
        return "less than 0.1 %"
    return f"{100 * probability:.1f} %" if probability < 0.1 else f"{100 * probability:.0f} %"
