"""What a revision keeps about its changes, so that they can be shown without the dataset that it revises."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datasets.imagedb.revising.changes import ImageName, RevisedSplit
from datasets.imagedb.store.records import damaged
from digits_project.common.errors import NOT_ARRAYS

CHANGES = "revision.json"
# NAME.origins.npy: the number of each record in the split of the first dataset, int32.
ORIGINS_SUFFIX = ".origins.npy"


def write(
    directory: Path,
    source: Path,
    splits: Sequence[RevisedSplit],
    categories: Sequence[str],
    paths: Mapping[str, Mapping[int, str]],
) -> None:
    """Write revision.json and the origins of the records. `paths`: of the images that change, by split and number."""
    for split in splits:
        origins = origins_of(source, split.name, len(split.before))[split.is_kept]
        np.save(directory / f"{split.name}{ORIGINS_SUFFIX}", origins)
    content = json.dumps(described(splits, categories, paths), ensure_ascii=False)
    (directory / CHANGES).write_text(content, encoding="utf-8", errors="backslashreplace")


def read(directory: Path) -> dict[str, Any]:
    """The changes of a revision. Raises OSError if there are none."""
    return json.loads((directory / CHANGES).read_text(encoding="utf-8"))


def origins_of(directory: Path, split: str, entries: int) -> np.ndarray:
    """The number that each record of a split has in the first dataset, int32. Raises DamagedFile."""
    path = directory / f"{split}{ORIGINS_SUFFIX}"
    if not path.exists():
        return np.arange(entries, dtype=np.int32)
    try:
        origins = np.load(path, allow_pickle=False)
    except NOT_ARRAYS as unreadable:
        raise damaged(path, "can't be read.") from unreadable
    if origins.shape != (entries,):
        raise damaged(path, "does not have one row for each record.")
    return origins


def described(
    splits: Sequence[RevisedSplit], categories: Sequence[str], paths: Mapping[str, Mapping[int, str]]
) -> dict[str, Any]:
    """The changes as JSON values. Images have the names that they had before."""
    excluded, relabelled = [], []
    for split in splits:
        path_of = paths.get(split.name, {})
        for record in split.excluded.tolist():
            image = {"image": str(ImageName(split.name, record)), "path": path_of.get(record, "")}
            excluded.append(image | {"category": categories[split.before[record]]})
        for record in split.relabelled.tolist():
            image = {"image": str(ImageName(split.name, record)), "path": path_of.get(record, "")}
            relabelled.append(image | {"from": categories[split.before[record]], "to": categories[split.after[record]]})
    return {"excluded": excluded, "relabelled": relabelled, "categories": counted(splits, categories)}


def counted(splits: Sequence[RevisedSplit], categories: Sequence[str]) -> list[dict[str, Any]]:
    """The number of images of each category in each split, before and after."""
    before = {split.name: split.per_category_before(len(categories)) for split in splits}
    after = {split.name: split.per_category(len(categories)) for split in splits}
    return [
        {
            "category": name,
            "before": {split: counts[number] for split, counts in before.items()},
            "after": {split: counts[number] for split, counts in after.items()},
        }
        for number, name in enumerate(categories)
    ]
