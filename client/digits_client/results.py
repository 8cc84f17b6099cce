"""What the server answers, as values with types."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

T = TypeVar("T")


def moment(text: str) -> datetime:
    """A point in time of the API, in UTC."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def optional(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """A reader of values that can be null."""
    return lambda value: None if value is None else read(value)


def sequence(read: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    """A reader of lists."""
    return lambda values: tuple(read(value) for value in values)


def table(value: Any) -> dict[str, Any]:
    """A reader of JSON objects."""
    return dict(value or {})


def record(kind: type[T]) -> Callable[[Mapping[str, Any]], T]:
    """A reader that makes a dataclass of an object; keys that it does not know, of a newer server, are left out."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type] # T is a dataclass

    def read(values: Mapping[str, Any]) -> T:
        return kind(**{name: values[name] for name in names if name in values})

    return read


# --- inference --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Prediction:
    """A category and how sure the model is of it, in percent."""

    category: str
    confidence: float


@dataclass(frozen=True)
class Classification:
    """What a model sees in an image: at most five categories, the surest first. `snapshot` is the epoch of the snapshot
    that answered. `unsure` says whether its confidence is below the threshold, so that the image perhaps shows none of
    the categories; None if there is no threshold."""

    image: str
    predictions: tuple[Prediction, ...]
    snapshot: float | None = None
    unsure: bool | None = None

    @property
    def category(self) -> str:
        """The surest category."""
        return self.predictions[0].category

    @property
    def confidence(self) -> float:
        """Of the surest category, in percent."""
        return self.predictions[0].confidence

    def __str__(self) -> str:
        return f"{self.image}: {self.category} ({self.confidence:g} %)"


@dataclass(frozen=True)
class Explanation:
    """Which parts of an image speak for a category. `grid` has the rows of the image from its top: 1 is the part that
    speaks most for it, 0 does not. `png` is a picture to lay over the image. `deletion` and `insertion` are the mean
    score while the most important pixels are removed, and while they appear: a good map has a low and a high one."""

    category: str
    method: str
    grid: Sequence[Sequence[float]]
    png: bytes
    deletion: float | None = None
    insertion: float | None = None


def explanation_of(facts: Mapping[str, Any]) -> Explanation:
    """An explanation, whose picture is a data URL in JSON."""
    return record(Explanation)({**facts, "png": base64.b64decode(facts["png"].rpartition(",")[2])})


def predictions_of(ranked: Mapping[str, float] | Sequence[Sequence[Any]]) -> tuple[Prediction, ...]:
    """The predictions in either wire format of the server."""
    pairs = ranked.items() if isinstance(ranked, Mapping) else ranked
    return tuple(Prediction(str(category), float(confidence)) for category, confidence in pairs)


# --- datasets ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Category:
    """A category of a dataset, and its images in each split."""

    name: str
    train: int
    val: int
    test: int


@dataclass(frozen=True)
class ChangedImage:
    """An image that two revisions of a dataset differ in, such as train/17. `before` and `after` are its categories, or
    None. `path` is a path of the server."""

    image: str
    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Difference:
    """What a dataset differs in from another revision of the same images: images that it lacks, that only it has, and
    that have another category. `categories` has their numbers in each split, before and after."""

    excluded: tuple[ChangedImage, ...]
    added: tuple[ChangedImage, ...]
    relabelled: tuple[ChangedImage, ...]
    categories: Sequence[Mapping[str, Any]]


def difference_of(facts: Mapping[str, Any]) -> Difference:
    """A difference, from the response that has it."""
    names = {"excluded": ("category", None), "added": (None, "category"), "relabelled": ("from", "to")}
    found = {
        kind: tuple(
            ChangedImage(image["image"], image["path"], *(image[name] if name else None for name in of))
            for image in facts[kind]
        )
        for kind, of in names.items()
    }
    return Difference(**found, categories=facts["categories"])


@dataclass(frozen=True)
class SkippedFiles:
    """The files that a dataset does not use: how many, how many for each reason, and the first of them with the
    reason."""

    count: int
    reasons: dict[str, int]
    files: Sequence[str]


# --- models -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Snapshot:
    """The state of a model at an epoch. `accuracy` is that of its validation, 0 to 1. `best`, `latest` and `default`
    (the one that answers if none is named) say what it is; `keep` whether it is never deleted automatically."""

    epoch: float
    accuracy: float | None
    loss: float | None
    bytes: int
    best: bool
    latest: bool
    default: bool
    keep: bool
    created_at: str = ""


@dataclass(frozen=True)
class Curve:
    """What a training measured: one value for each epoch in `epoch`."""

    epoch: Sequence[float]
    loss: Sequence[float]
    accuracy: Sequence[float | None]


@dataclass(frozen=True)
class Queue:
    """The place of a waiting job in its queue, from 1, and why it waits."""

    position: int
    reason: str


@dataclass(frozen=True)
class Trial:
    """A model of a search, with the values that it was trained with and its best validation."""

    rank: int
    trial: int
    model_id: str
    name: str
    status: str
    parameters: dict[str, Any]
    epoch: float | None = None
    accuracy: float | None = None
    loss: float | None = None


# --- evaluations ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class CategoryResult:
    """How well a category is recognized; `support` is the number of its images. Values are 0 to 1."""

    category: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class CoveragePoint:
    """If answers need a confidence, calibrated, of at least `threshold`: the share of the images that are answered, and
    what share of these answers is right. Values are 0 to 1."""

    threshold: float
    answered: float
    accuracy: float | None


@dataclass(frozen=True)
class Confusion:
    """How many images of `category` were taken for `answer`."""

    category: str
    answer: str
    images: int


@dataclass(frozen=True)
class WrongAnswer:
    """An image that was classified wrongly, and how sure the model was, in percent. `path` is a path of the server."""

    category: str
    answer: str
    confidence: float
    record: int
    path: str = ""
