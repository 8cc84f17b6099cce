"""Deals the images of each category out to train, validation and test. Seeded: the same images always fall the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from datasets.imagedb.buildlog import BuildLog, named
from datasets.imagedb.listing import Listing
from datasets.imagedb.spec import Source, Spec
from digits_project.errors import BadInput

NAMES = ("train", "val", "test")
_BLOCK = 4096  # images looked at together, so that what is computed of them takes no memory to speak of


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

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All images with their labels, a block at a time."""
        for start in range(0, len(self.images), _BLOCK):
            images = self.images[start : start + _BLOCK]
            yield images, self.labels(images)

    def count(self, labels: int) -> np.ndarray:
        """How many images there are of each label under `labels`."""
        return sum((np.bincount(found, minlength=labels) for _, found in self.blocks()), np.zeros(labels, np.int64))

    def relabelled(self, label_of: np.ndarray) -> Part:
        """The part with label l replaced by label_of[l], without the images whose label is then -1."""
        part = replace(self, label_of=np.where(self.label_of >= 0, label_of[self.label_of], -1).astype(np.int32))
        kept = [images[labels >= 0] for images, labels in part.blocks()]
        return replace(part, images=np.concatenate(kept)) if kept else part


def share_sizes(count: int, percent_val: float, percent_test: float) -> tuple[int, int, int]:
    """How many of `count` images of a category go to train, val and test.

    Shares are rounded to the nearest image, halves up; then train gets one back, from the larger share, if it had none.
    """
    val, test = (math.floor(count * percent / 100 + 0.5) for percent in (percent_val, percent_test))
    while val + test >= count > 0:
        val, test = (val - 1, test) if val >= test else (val, test - 1)
    return count - val - test, val, test


def deal(listing: Listing, spec: Spec, log: BuildLog, tick: Callable[[], None]) -> tuple[list[str], list[Part]]:
    """The categories (their order gives the labels), and a Part for train and for each share taken from it."""
    chosen = _chosen(listing, spec.train, "train", log)
    if len(chosen) < 2:
        raise BadInput(_too_few(listing, spec.train, chosen))
    drawn = {name: [] for name in NAMES}
    for category in chosen:
        images = _drawn(listing, category, spec.train.max_per_class, spec.seed, tick)
        sizes = share_sizes(len(images), spec.share_val, spec.share_test)
        for name, share in zip(NAMES, np.split(images, np.cumsum(sizes[:-1])), strict=True):
            drawn[name].append(share)
    label_of = np.full(len(listing.names), -1, np.int32)
    label_of[chosen] = np.arange(len(chosen))
    train, *shares = [Part(name, listing, np.concatenate(drawn[name]), label_of) for name in NAMES]
    # Neighbours in the train records are of mixed categories, so that a reader need not shuffle to train well.
    np.random.default_rng(spec.seed).shuffle(train.images)
    for part, percent in zip(shares, (spec.share_val, spec.share_test), strict=True):
        if percent and not len(part.images):
            log.warn(f"The {part.name} split is empty: {percent:g} % of each category is less than half an image.")
    return [listing.names[category] for category in chosen], [train, *(part for part in shares if len(part.images))]


def own_part(
    name: str, listing: Listing, spec: Spec, categories: list[str], log: BuildLog, tick: Callable[[], None]
) -> Part:
    """The Part of a split that has a folder of its own; only the categories that train has count.

    Those that either has and the other has not are warned about.
    """
    source = getattr(spec, name)
    known = {category: label for label, category in enumerate(categories)}
    label_of = np.array([known.get(category, -1) for category in listing.names], np.int32)
    strangers = [category for category in listing.names if category not in known]
    if strangers:
        log.warn(f"Left out of {name}, since train does not have them: {named(strangers)}.")
    chosen = [category for category in _chosen(listing, source, name, log) if label_of[category] >= 0]
    if not chosen:
        raise BadInput(
            f"{listing.root} holds no category that train has, with at least {source.min_per_class} images. "
            f"The subfolders for {name} must be named like those for train."
        )
    present = np.bincount(label_of[chosen], minlength=len(categories)) > 0
    _report_missing(name, categories, present, log)
    images = [_drawn(listing, category, source.max_per_class, spec.seed, tick) for category in chosen]
    return Part(name, listing, np.concatenate(images), label_of)


def listed_part(name: str, listing: Listing, spec: Spec, log: BuildLog) -> Part:
    """The Part of a split that a text file lists: all of its lines, in their order or, seeded, in a random one."""
    images = np.arange(len(listing), dtype=np.int32)
    if spec.shuffle:
        np.random.default_rng(spec.seed).shuffle(images)
    if name != "train":  # of which only reading the images tells
        _report_missing(name, listing.names, listing.counts() > 0, log)
    return Part(name, listing, images, np.arange(len(listing.names), dtype=np.int32))


def _report_missing(split, categories, present, log):
    missing = [category for category, found in zip(categories, present, strict=True) if not found]
    if missing:
        log.warn(f"Without images in {split}: {named(missing)}.")
    for category in missing:
        log.note(f"without images in {split}: {category}")


def _chosen(listing, source: Source, split, log):
    """The categories with at least the minimum of images; the others are warned about and, one by one, logged."""
    counts = listing.counts()
    left_out = [name for name, count in zip(listing.names, counts, strict=True) if count < source.min_per_class]
    if left_out:
        log.warn(f"Left out of {split}, for want of {source.min_per_class} images: {named(left_out)}.")
    for name in left_out:
        log.note(f"left out of {split}: {name}")
    return np.flatnonzero(counts >= source.min_per_class)


def _drawn(listing, category, maximum, seed, tick):
    """int32: the images of a category in random order, at most `maximum` of them.

    The order is that of a keyed hash of their relative paths, so it depends neither on the order in which the file
    system listed them nor on other images.
    """
    start, stop = int(listing.starts[category]), int(listing.starts[category + 1])
    keys = np.empty(stop - start, np.uint64)
    for position in range(stop - start):
        path = listing.relative_path(start + position)
        keys[position] = int.from_bytes(blake2b(path, digest_size=8, salt=_salt(seed)).digest(), "little")
        tick()
    return (start + np.argsort(keys)[:maximum]).astype(np.int32)


def _salt(seed):
    return (seed % (1 << 128)).to_bytes(blake2b.SALT_SIZE, "little")


def _too_few(listing, source, chosen):
    if np.count_nonzero(listing.counts()) > len(chosen):
        return (
            f"{listing.root} has fewer than two categories with at least {source.min_per_class} images; a classifier "
            "needs two. Add images or lower the minimum per category."
        )
    return (
        f"{listing.root} holds images of one category only, {listing.names[chosen[0]]}; a classifier needs two. "
        "Add a subfolder with images of another category."
    )
