"""Deals the images of each category out to train, validation and test. Seeded: the same images always fall the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from datasets.imagedb.buildlog import BuildLog, named
from datasets.imagedb.listing import Listing
from datasets.imagedb.spec import Source, Spec
from digits_project.errors import BadInput

NAMES = ("train", "val", "test")


@dataclass(frozen=True)
class Part:
    """The images of one split in the order in which they are written.

    `images` (int32) index the listing; `label_of` (int32) gives the label of each category of the listing, -1 for none.
    """

    name: str
    listing: Listing
    images: np.ndarray
    label_of: np.ndarray

    def labels(self, images: np.ndarray) -> np.ndarray:
        """The label of each of these images."""
        return self.label_of[self.listing.categories(images)]


def share_sizes(count: int, percent_val: float, percent_test: float) -> tuple[int, int, int]:
    """How many of `count` images of a category go to train, val and test.

    Shares are rounded to the nearest image, halves up; then train gets one back, from the larger share, if it had none.
    """
    val, test = (math.floor(count * percent / 100 + 0.5) for percent in (percent_val, percent_test))
    while val + test >= count > 0:
        val, test = (val - 1, test) if val >= test else (val, test - 1)
    return count - val - test, val, test


def deal(listing: Listing, spec: Spec, log: BuildLog) -> tuple[list[str], list[Part]]:
    """The categories (their order gives the labels) and a Part for train and for each share taken from it."""
    chosen = _chosen(listing, spec.train, "train", log)
    if len(chosen) < 2:
        raise BadInput(_too_few(listing, spec.train, chosen))
    drawn = {name: [] for name in NAMES}
    for category in chosen:
        images = _drawn(listing, category, spec.train.max_per_class)
        sizes = share_sizes(len(images), spec.share_val, spec.share_test)
        for name, part in zip(NAMES, np.split(images, np.cumsum(sizes[:-1])), strict=True):
            drawn[name].append(part)
    label_of = np.full(len(listing.names), -1, np.int32)
    label_of[chosen] = np.arange(len(chosen))
    parts = [Part(name, listing, np.concatenate(drawn[name]), label_of) for name in NAMES]
    # Neighbours in the train records are of mixed categories, so that a reader need not shuffle to train well.
    np.random.default_rng(spec.seed).shuffle(parts[0].images)
    for part, share in zip(parts[1:], (spec.share_val, spec.share_test), strict=True):
        if share and not len(part.images):
            log.warn(f"The {part.name} split is empty: {share:g} % of each category is less than half an image.")
    return [listing.names[category] for category in chosen], [part for part in parts if len(part.images)]


def own_part(name: str, listing: Listing, source: Source, categories: list[str], log: BuildLog) -> Part:
    """The Part of a split that has a folder of its own; only the categories that training knows count."""
    known = {category: label for label, category in enumerate(categories)}
    label_of = np.array([known.get(category, -1) for category in listing.names], np.int32)
    strangers = [category for category in listing.names if category not in known]
    if strangers:
        log.warn(f"Left out of {name}, since the train split does not have them: {named(strangers)}.")
    chosen = [category for category in _chosen(listing, source, name, log) if label_of[category] >= 0]
    if not chosen:
        raise BadInput(f"{listing.root} holds no images for {name} of a category that the train split has.")
    images = np.concatenate([_drawn(listing, category, source.max_per_class) for category in chosen])
    return Part(name, listing, images, label_of)


def _chosen(listing, source, split, log):
    """The categories with at least the minimum of images; the others are warned about and, one by one, logged."""
    counts = listing.counts()
    left_out = [name for name, count in zip(listing.names, counts, strict=True) if count < source.min_per_class]
    if left_out:
        log.warn(f"Left out of {split}, with fewer than {source.min_per_class} images: {named(left_out)}.")
    for name in left_out:
        log.note(f"left out of {split}: {name}")
    return np.flatnonzero(counts >= source.min_per_class)


def _drawn(listing, category, maximum):
    """int32: the images of a category in random order, at most `maximum` of them."""
    start, stop = listing.starts[category], listing.starts[category + 1]
    order = np.argsort(listing.keys[start:stop], kind="stable")[:maximum]
    return (start + order).astype(np.int32)


def _too_few(listing, source, chosen):
    counts = listing.counts()
    if np.count_nonzero(counts) > len(chosen):
        return (
            f"{listing.root} has {len(chosen)} categories with at least {source.min_per_class} images; a classifier "
            "needs two. Add images or lower the minimum per category."
        )
    return (
        f"{listing.root} holds images of one category only, {listing.names[chosen[0]]}; a classifier needs two. "
        "Add a subfolder with images of another category."
    )
