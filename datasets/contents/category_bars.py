"""How many images each category has in each split, as bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from datasets.models import Dataset

MAX_CATEGORIES = 200  # on a page


class BarPart(NamedTuple):
    """A split's part of a bar: its images, and where it begins and how wide it is, in percent of the longest bar."""

    split: str
    images: int
    begin: str
    width: str


class CategoryBar(NamedTuple):
    """A category's number, its name, and its images by split."""

    number: int
    name: str
    parts: list[BarPart]
    total: int


def bars_of(dataset: Dataset) -> list[CategoryBar]:
    """The bars of a built dataset's first categories."""
    counts = {split["name"]: split.get("per_category", []) for split in dataset.splits}
    return bars(dataset.categories[:MAX_CATEGORIES], counts)


def bars(names: Sequence[str], counts: Mapping[str, Sequence[int]]) -> list[CategoryBar]:
    """The bars of categories; `counts` has the numbers of images of each split, in the order of the names."""
    rows = [[(split, of[i]) for split, of in counts.items() if i < len(of)] for i in range(len(names))]
    largest = max((sum(count for _, count in row) for row in rows), default=0) or 1
    return [
        CategoryBar(number, name, list(_parts(row, 100 / largest)), sum(count for _, count in row))
        for number, (name, row) in enumerate(zip(names, rows, strict=True))
    ]


def _parts(row: Sequence[tuple[str, int]], scale: float) -> Iterator[BarPart]:
    before = 0
    for split, count in row:
        yield BarPart(split, count, f"{before * scale:.2f}", f"{count * scale:.2f}")
        before += count
