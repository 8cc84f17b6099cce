"""Divides the images of each category among train, validation and test. Seeded: the same images, the same split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import cast

import numpy as np

from datasets.imagedb.build_log import BuildLog, named
from datasets.imagedb.dealer import Dealer
from datasets.imagedb.group_dealer import deal_groups
from datasets.imagedb.group_names import is_pattern
from datasets.imagedb.readers.category_names import comparable, different_spellings
from datasets.imagedb.readers.folder import one_category
from datasets.imagedb.readers.listing import Listing
from datasets.imagedb.spec import FolderSource, Spec
from digits_project.common.errors import BadInput

NAMES = ("train", "val", "test")
_BLOCK = 4096  # images per block, to keep temporary arrays small


@dataclass(frozen=True)
class Part:
    """The images of one split, in the order of writing.

    `images` (int32) are indexes into the listing; `label_of` (int32) is the label of each category of the listing, -1
    for none. `groups`: the group of each image of the listing, as join_groups() returns them; None if
    groups have no names.
    """

    name: str
    listing: Listing
    images: np.ndarray
    label_of: np.ndarray
    groups: np.ndarray | None = None

    def labels(self, images: np.ndarray) -> np.ndarray:
        """The label of each of these images."""
        return self.label_of[self.listing.categories(images)]

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All images with their labels, one block at a time."""
        for start in range(0, len(self.images), _BLOCK):
            images = self.images[start : start + _BLOCK]
            yield images, self.labels(images)

    def count(self, labels: int) -> np.ndarray:
        """The number of images of each label below `labels`."""
        return sum((np.bincount(found, minlength=labels) for _, found in self.blocks()), np.zeros(labels, np.int64))

    def with_labels(self, label_of: np.ndarray) -> Part:
        """The part with each label l replaced by label_of[l], which can be -1."""
        return replace(self, label_of=np.where(self.label_of >= 0, label_of[self.label_of], -1).astype(np.int32))

    def relabelled(self, label_of: np.ndarray) -> Part:
        """The part with each label l replaced by label_of[l], without images whose label becomes -1."""
        part = self.with_labels(label_of)
        kept = [images[labels >= 0] for images, labels in part.blocks()]
        return replace(part, images=np.concatenate(kept)) if kept else part


def share_sizes(count: int, percent_val: float, percent_test: float) -> tuple[int, int, int]:
    """The numbers of images, of `count` in a category, for train, val and test.

    They are rounded to the nearest image, halves up. If train would get none, it gets one from the larger share.
    """
    val, test = (math.floor(count * percent / 100 + 0.5) for percent in (percent_val, percent_test))
    while val + test >= count > 0:
        val, test = (val - 1, test) if val >= test else (val, test - 1)
    return count - val - test, val, test


def deal(
    listing: Listing, spec: Spec, log: BuildLog, tick: Callable[[], None], groups: np.ndarray | None = None
) -> tuple[list[str], list[Part]]:
    """The categories (their order gives the labels), and a Part for train and for each split taken from it.

    `groups` is the group of copies of each image, -1 for none; a group stays in one split.
    """
    folder = cast(FolderSource, spec.train)  # text files say themselves which split an image is in
    chosen = _chosen(listing, folder, "train", log)
    if len(chosen) < 2:
        raise BadInput(_too_few(listing, folder, chosen))
    drawn = [_drawn(listing, category, folder.max_per_class, spec.seed, tick) for category in chosen]
    groups = groups if groups is not None else np.full(len(listing), -1, np.int32)
    dealer = Dealer(groups, drawn)
    sizes = [share_sizes(len(images), spec.share_val, spec.share_test) for images in drawn]
    if is_pattern(spec.split_groups):  # a patient can be in all categories, and a dealer of copies would train on her
        dealt = dict(zip(NAMES, deal_groups(groups, drawn, sizes), strict=True))
    else:
        shares_of = [dealer.shares(images, of_images) for images, of_images in zip(drawn, sizes, strict=True)]
        dealt = {name: [shares[number] for shares in shares_of] for number, name in enumerate(NAMES)}
    label_of = np.full(len(listing.names), -1, np.int32)
    label_of[chosen] = np.arange(len(chosen))
    train, *shares = [Part(name, listing, np.concatenate(dealt[name]), label_of) for name in NAMES]
    # The train records are shuffled, so that a reader that does not shuffle can train too.
    np.random.default_rng(spec.seed).shuffle(train.images)
    for part, percent in zip(shares, (spec.share_val, spec.share_test), strict=True):
        if percent and not len(part.images):
            why = (
                "the images of each category are copies of one another"
                if dealer.has_copies
                else f"{percent:g} % of each category is less than half an image"
            )
            log.warn(f"The {part.name} split is empty: {why}.")
    return [listing.names[category] for category in chosen], [train, *(part for part in shares if len(part.images))]


def own_part(
    name: str, listing: Listing, spec: Spec, categories: list[str], log: BuildLog, tick: Callable[[], None]
) -> Part:
    """The Part of a split that has its own folder; only categories that train has are used.

    Warnings name the categories that only one of the two has, and those whose Unicode form differs from train's.
    """
    source = getattr(spec, name)
    label_of = _labels_in_train(name, listing, categories, log)
    chosen = [category for category in _chosen(listing, source, name, log) if label_of[category] >= 0]
    if not chosen:
        raise BadInput(_none_of_train(name, listing, source, label_of))
    present = np.bincount(label_of[chosen], minlength=len(categories)) > 0
    _report_missing(name, categories, present, log)
    images = [_drawn(listing, category, source.max_per_class, spec.seed, tick) for category in chosen]
    return Part(name, listing, np.concatenate(images), label_of)


def _labels_in_train(split, listing, categories, log):
    """int32: the label of each category of a listing, -1 for categories that train does not have."""
    known = {comparable(category): label for label, category in enumerate(categories)}
    labels = [known.get(comparable(category), -1) for category in listing.names]
    strangers = [category for category, label in zip(listing.names, labels, strict=True) if label < 0]
    if strangers:
        log.warn(f"Left out of {split}, because train has no such category: {named(strangers)}.")
    for category, label in zip(listing.names, labels, strict=True):
        if label >= 0 and category != categories[label]:
            spelt = different_spellings([category, categories[label]])
            log.warn(f"The folder {category} for {split} is matched with {categories[label]} of train: {spelt}.")
    return np.array(labels, np.int32)


def _none_of_train(split, listing, source, label_of):
    """The message if no category of a split's own folder can be used."""
    none = f"{listing.root} has no category of train with at least {source.min_per_class} images"
    if (label_of >= 0).any():
        field = f"folder_{split}_min_per_class"
        return f"{none}: it has fewer images of each. Add images, or lower {field}, which is {source.min_per_class}."
    return f"{none}. The subfolders for {split} must have the same names as those for train."


def listed_part(name: str, listing: Listing, spec: Spec, log: BuildLog) -> Part:
    """The Part of a split that a text file lists: all lines, in order or shuffled by the seed."""
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


def _chosen(listing, source: FolderSource, split, log):
    """The categories with at least the minimum number of images; the others are logged, with one warning."""
    counts = listing.counts()
    left_out = [name for name, count in zip(listing.names, counts, strict=True) if count < source.min_per_class]
    if left_out:
        log.warn(f"Left out of {split}, because they have fewer than {source.min_per_class} images: {named(left_out)}.")
    for name in left_out:
        log.note(f"left out of {split}: {name}")
    return np.flatnonzero(counts >= source.min_per_class)


def _drawn(listing, category, maximum, seed, tick):
    """int32: the images of a category in random order, at most `maximum`.

    They are sorted by a keyed hash of their relative paths, so the order does not depend on the file system or on other
    images.
    """
    start, stop = int(listing.starts[category]), int(listing.starts[category + 1])
    keys, salt = bytearray(), _salt(seed)
    for path in listing.relative_paths(start, stop):
        keys += blake2b(path, digest_size=8, salt=salt).digest()
        tick()
    return (start + np.argsort(np.frombuffer(keys, "<u8"))[:maximum]).astype(np.int32)


def _salt(seed):
    return (seed % (1 << 128)).to_bytes(blake2b.SALT_SIZE, "little")


def _too_few(listing, source, chosen):
    if np.count_nonzero(listing.counts()) > len(chosen):
        return (
            f"{listing.root} has fewer than two categories with at least {source.min_per_class} images; a classifier "
            "needs two. Add images or lower the minimum per category (folder_train_min_per_class)."
        )
    return one_category(listing.root, listing.names[chosen[0]])
