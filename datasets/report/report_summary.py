"""The summary of a report: figures, sentences, and what each category has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from datasets.report.advice import DatasetFigures, sentences
from datasets.report.findings import LABEL_ERRORS, TRAITS, Findings
from datasets.report.image_set import ImageSet

TRAIN = "train"


def summary_of(found: Findings, images: ImageSet, categories: Sequence[str]) -> dict[str, Any]:
    """The summary as JSON values; `categories` are the names, none if the labels are no categories."""
    splits = images.split_numbers()
    figures = _figures(found, images, splits, categories)
    conflicts, leaks = (sum(flags) for flags in zip(*_flags(found), strict=True)) if found.groups else (0, 0)
    return {
        "images": figures.images,
        "effective_images": figures.images - figures.copies,
        "sentences": sentences(figures),
        "counts": found.counts() | {"conflicts": conflicts, "leaks": leaks},
        "categories": _category_rows(found, images, splits, categories),
        "marks": [mark.to_json() for mark in found.marks],
        "probe_accuracy": round(found.errors.accuracy, 4) if found.errors else None,
    }


def _flags(found: Findings) -> list[tuple[bool, bool]]:
    return [(group.is_conflict, group.is_leak) for group in found.groups]


def _figures(found: Findings, images: ImageSet, splits: np.ndarray, categories: Sequence[str]) -> DatasetFigures:
    in_conflict, in_leak = (np.zeros(len(images), bool) for _ in range(2))
    for group in found.groups:
        members = list(group.images)
        in_conflict[members] = group.is_conflict
        in_leak[members] = group.is_leak
    held_out = splits > 0 if TRAIN in images.splits else np.zeros(len(images), bool)
    counts = found.counts()
    per_category = _distinct(found, splits, images.splits.index(TRAIN), len(categories)) if categories else []
    return DatasetFigures(
        images=len(images),
        held_out=int(held_out.sum()),
        per_category=dict(zip(categories, per_category, strict=True)),
        copies=int((found.roots != np.arange(len(images))).sum()),
        conflicts=int(in_conflict.sum()),
        leaked=int((in_leak & held_out).sum()),
        label_errors=counts[LABEL_ERRORS],
        unusual={trait: counts[trait] for trait in TRAITS if counts[trait]},
        marks=[(categories[mark.category], mark) for mark in found.marks],
    )


def _distinct(found: Findings, splits: np.ndarray, split: int, categories: int) -> list[int]:
    """How many different pictures each category has in a split."""
    chosen = splits == split
    pairs = np.unique(np.stack([found.categories[chosen], found.roots[chosen]]), axis=1)
    return np.bincount(pairs[0], minlength=categories).tolist()


def _category_rows(
    found: Findings, images: ImageSet, splits: np.ndarray, categories: Sequence[str]
) -> list[dict[str, Any]]:
    count = len(categories)
    if not count:
        return []
    per_split = {
        name: np.bincount(found.categories[splits == number], minlength=count).tolist()
        for number, name in enumerate(images.splits)
    }
    distinct = {name: _distinct(found, splits, number, count) for number, name in enumerate(images.splits)}
    wrong = found.categories[found.errors.images] if found.errors else np.empty(0, np.int32)
    errors = np.bincount(wrong, minlength=count).tolist()
    return [
        {
            "category": category,
            "images": {split: per_split[split][category] for split in images.splits},
            "distinct": {split: distinct[split][category] for split in images.splits},
            "label_errors": errors[category],
        }
        for category in range(count)
    ]
