"""Plain sentences about a dataset, the one about what will hurt a training most first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from datasets.report.marks import Mark
from datasets.report.near_copies import MIN_SIDE

MIN_IMAGES = 50  # of a category to train on; with fewer the sentence says so
MIN_RATIO = 5  # of the largest category to the smallest
# How much a share of the images hurts: a wrong label teaches the wrong thing, a further copy only nothing new.
CONFLICT, LEAK, LABEL, COPY, UNUSUAL = 1.5, 1.0, 1.0, 0.3, 0.3
SMALL, UNBALANCED, MARK = 0.15, 0.1, 0.2
TRAITS = {
    "blank": "blank",
    "dark": "very dark",
    "bright": "very bright",
    "blurred": "blurred",
    "odd_shape": "of an odd shape, far wider or taller than the others",
    "tiny": "enlarged to at least twice the size of their file",
    "lonely": "unlike all others of the same category",
}


@dataclass(frozen=True)
class DatasetFigures:
    """What the sentences are made of. Counts are of images if nothing else is said.

    per_category: those to train on without further copies, by the category's name. leaked: those of val and test with a
    copy in another split, of `held_out`. unusual: by trait. marks: each with the name of its category.
    """

    images: int
    held_out: int
    per_category: Mapping[str, int]
    copies: int  # further ones, without the first of each picture
    conflicts: int
    leaked: int
    label_errors: int
    unusual: Mapping[str, int]
    marks: Sequence[tuple[str, Mark]] = ()


class Remark(NamedTuple):
    """A sentence, and how much what it says hurts; 0 for nothing."""

    harm: float
    sentence: str


def about_small_images(number: int) -> list[str]:
    """What to know about images with too few pixels; nothing without any."""
    if not number:
        return []
    start = "1 image has" if number == 1 else f"{number:,} images have"
    return [f"{start} a side of less than {MIN_SIDE} pixels. So small images look alike; only exact copies are listed."]


def sentences(figures: DatasetFigures) -> list[str]:
    """The sentences, the worst first; one that says so if nothing was found."""
    remarks = [
        *_of_copies(figures),
        *_of_labels(figures),
        *_of_balance(figures),
        *_of_unusual(figures),
        *_of_marks(figures),
    ]
    ordered = [remark.sentence for remark in sorted(remarks, key=lambda remark: -remark.harm)]
    return ordered or ["Nothing was found that would hurt a training."]


def _of_copies(figures: DatasetFigures) -> Iterator[Remark]:
    if figures.conflicts:
        share = figures.conflicts / figures.images
        yield Remark(
            CONFLICT * share,
            f"{_images(figures.conflicts)} {_verb(figures.conflicts, 'shows', 'show')} a picture that is in more "
            "than one category. A network can't learn both: decide for one.",
        )
    if figures.leaked:
        share = figures.leaked / max(1, figures.held_out)
        yield Remark(
            LEAK * share,
            f"{_images(figures.leaked)} of validation and test ({share:.1%}) {_verb(figures.leaked, 'has', 'have')} a "
            "copy in another split. The measured accuracy will be higher than on new images.",
        )
    if figures.copies:
        yield Remark(
            COPY * figures.copies / figures.images,
            f"{_images(figures.copies)} only {_verb(figures.copies, 'repeats', 'repeat')} another one: the dataset is "
            f"worth {figures.images - figures.copies:,} images, not {figures.images:,}.",
        )


def _of_labels(figures: DatasetFigures) -> Iterator[Remark]:
    if figures.label_errors:
        share = figures.label_errors / figures.images
        yield Remark(
            LABEL * share,
            f"{_images(figures.label_errors)} ({share:.1%}) {_verb(figures.label_errors, 'seems', 'seem')} to be in "
            "the wrong category. Look at the first ones: a network learns from every wrong label.",
        )


def _of_balance(figures: DatasetFigures) -> Iterator[Remark]:
    if not figures.per_category:
        return
    small = min(figures.per_category, key=lambda name: figures.per_category[name])
    large = max(figures.per_category, key=lambda name: figures.per_category[name])
    least, most = figures.per_category[small], figures.per_category[large]
    if least < MIN_IMAGES:
        few = sum(count < MIN_IMAGES for count in figures.per_category.values())
        others = f", as {few - 1} other categories" * (few > 2) + ", as one other category" * (few == 2)
        yield Remark(
            SMALL * (1 - least / MIN_IMAGES),
            f"{small} has only {_images(least)} to train on{others}. More images of it help more than anything that "
            "can be set.",
        )
    if most >= MIN_RATIO * max(1, least):
        yield Remark(
            UNBALANCED * (1 - least / most),
            f"{large} has {most / max(1, least):.0f} times as many images as {small}. Weigh the categories in the "
            "training, or add images.",
        )


def _of_unusual(figures: DatasetFigures) -> Iterator[Remark]:
    for trait, count in figures.unusual.items():
        yield Remark(UNUSUAL * count / figures.images, f"{_images(count)} {_verb(count, 'is', 'are')} {TRAITS[trait]}.")


def _of_marks(figures: DatasetFigures) -> Iterator[Remark]:
    for category, mark in figures.marks:
        yield Remark(
            MARK * (mark.share - mark.of_others),
            f"{mark.share:.0%} of the images of {category} look the same {mark.place}, where {mark.of_others:.0%} of "
            "the others do. A network can learn this place alone: look whether it is a mark, such as a watermark.",
        )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _verb(count: int, of_one: str, of_several: str) -> str:
    return of_one if count == 1 else of_several
