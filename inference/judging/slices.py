"""The accuracy of an evaluation on parts of its images: by category, folder, size, brightness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np

from digits_project.accounts.viewer import limited_user
from digits_project.jobs.models import Status
from digits_project.jobs.visibility import is_visible
from inference import image_answers
from inference.judging.image_columns import FOLDER, ImageColumn, columns_of
from inference.judging.proportions import Interval, wilson
from models_app.results import Evaluation

Bounds: TypeAlias = tuple[str, float | None, float | None]  # of a slice: a text, its lowest and its highest number
BINS = 5  # of a column of numbers, with about as many images each
MAX_SLICES = 100  # of a column that are kept, the worst
KEPT = 32  # evaluations whose slices are cached
HIDDEN = "Only users who can see the dataset see the folders of its images."


class CanNotSlice(Exception):
    """An evaluation without results or stored answers; the text says which."""


@dataclass(frozen=True)
class ImageSlice:
    """The images with one value of a column, or with a number from `low` to `high`.

    is_worse: the accuracy of all images is above the slice's interval, so chance alone seldom explains it.
    """

    column: str
    value: str
    low: float | None
    high: float | None
    images: int
    right: int
    interval: Interval
    is_worse: bool

    @property
    def accuracy(self) -> float:
        return self.right / self.images


class SlicedColumn(NamedTuple):
    """A column with its slices, the worst first; without slices `why` says the reason. left_off: further slices."""

    name: str
    slices: list[ImageSlice]
    left_off: int
    why: str


class Slices(NamedTuple):
    """The slices of an evaluation by each column."""

    images: int
    right: int
    columns: list[SlicedColumn]

    @property
    def accuracy(self) -> float:
        return self.right / self.images

    def worst(self) -> list[ImageSlice]:
        """The slices of all columns, the worst first."""
        return sorted((one for column in self.columns for one in column.slices), key=_badness)


def slices_of(evaluation: Evaluation) -> Slices:
    """The slices of an evaluation. Raises CanNotSlice."""
    if evaluation.status != Status.DONE:
        raise CanNotSlice(f"The evaluation {evaluation.name} is {evaluation.status}; it has slices once it is Done.")
    dataset = evaluation.trained_model.dataset
    try:
        made_at = dataset.report_directory.stat().st_mtime_ns
    except FileNotFoundError:
        made_at = 0
    found = _computed(evaluation.pk, made_at)
    if limited_user() is not None and not is_visible(dataset):
        hidden = [SlicedColumn(FOLDER, [], 0, HIDDEN) if one.name == FOLDER else one for one in found.columns]
        return found._replace(columns=hidden)
    return found


@lru_cache(KEPT)
def _computed(evaluation_id: str, made_at: int) -> Slices:
    """The slices, computed once: that reads the whole list of files. made_at: when the dataset's report changed."""
    evaluation = Evaluation.objects.select_related("trained_model__dataset").filter(pk=evaluation_id).first()
    if evaluation is None:
        raise CanNotSlice("The evaluation was deleted meanwhile.")
    dataset, given = evaluation.trained_model.dataset, image_answers.read(evaluation.directory)
    if given is None or len(given.truths) != dataset.entries(evaluation.split):
        raise CanNotSlice(
            f"What was answered to each image is not stored with {evaluation.name}. An earlier version of the server "
            "made it: delete it and evaluate again."
        )
    columns = [_sliced(column, given.right) for column in columns_of(dataset, evaluation.split, given.truths)]
    return Slices(len(given.right), int(given.right.sum()), columns)


def _sliced(column: ImageColumn, right: np.ndarray) -> SlicedColumn:
    if column.values is None:
        return SlicedColumn(column.name, [], 0, column.why)
    found = sorted(_slices(column, column.values, right), key=_badness)
    if len(found) < 2:
        return SlicedColumn(column.name, [], 0, "It is the same for all images.")
    return SlicedColumn(column.name, found[:MAX_SLICES], max(0, len(found) - MAX_SLICES), "")


def _slices(column: ImageColumn, values: np.ndarray, right: np.ndarray) -> Iterator[ImageSlice]:
    accuracy = float(right.mean())
    numbers, bounds = _numbered(values, column.texts)
    known = numbers >= 0
    images = np.bincount(numbers[known], minlength=len(bounds)).tolist()
    hits = np.bincount(numbers[known & right], minlength=len(bounds)).tolist()
    for (text, low, high), count, hit in zip(bounds, images, hits, strict=True):
        if count:
            interval = wilson(hit, count)
            yield ImageSlice(column.name, text, low, high, count, hit, interval, interval.high < accuracy)


def _numbered(values: np.ndarray, texts: Sequence[str] | None) -> tuple[np.ndarray, list[Bounds]]:
    """The number of each image's slice, -1 if its value is not known; and what each slice has."""
    if texts is not None:
        return values, [(text, None, None) for text in texts]
    known = np.isfinite(values)
    numbers = np.full(len(values), -1)
    there = np.unique(values[known])
    if len(there) <= BINS:
        numbers[known] = np.searchsorted(there, values[known])
    else:
        borders = np.unique(np.quantile(values[known], np.arange(1, BINS) / BINS))
        numbers[known] = np.searchsorted(borders, values[known], side="left")
    bounds: list[Bounds] = []
    for number in range(int(numbers.max(initial=-1)) + 1):
        of_bin = values[numbers == number]
        if not len(of_bin):
            bounds.append(("", None, None))
            continue
        low, high = float(of_bin.min()), float(of_bin.max())
        text = _short(low) if _short(low) == _short(high) else f"{_short(low)} to {_short(high)}"
        bounds.append((text, round(low, 4), round(high, 4)))
    return numbers, bounds


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _badness(one: ImageSlice) -> tuple[float, float, int]:
    """For sorting: what is bad beyond doubt comes first, so the upper end of the interval counts."""
    return one.interval.high, one.accuracy, -one.images
