"""Reports on datasets: copies, images out of the ordinary, labels that seem wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from digits_client.resources.jobs import Fact, Job
from digits_client.results import optional, record, sequence, table

R = TypeVar("R", bound="Report")


@dataclass(frozen=True)
class FoundImage:
    """An image of a finding. `path` is a path of the server."""

    split: str
    record: int
    category: str
    path: str = ""


@dataclass(frozen=True)
class Finding:
    """A group of copies, an unusual image, or an image whose label seems wrong; what belongs to other kinds is None.

    Of copies `conflict` says that they are in several categories, `leak` that they are in several splits. `value` is
    what is unusual. `likelier` is the category that fits better, with its `probability`.
    """

    images: tuple[FoundImage, ...]
    count: int | None = None
    conflict: bool | None = None
    leak: bool | None = None
    value: float | None = None
    likelier: str | None = None
    probability: float | None = None
    of_label: float | None = None


@dataclass(frozen=True)
class MapPoint:
    """An image on the map, `x` and `y` from -1 to 1. `likelier` is the category that a classifier gives which has not
    seen the image, with its `probability`; None without categories."""

    x: float
    y: float
    split: str
    record: int
    category: str
    likelier: str | None = None
    probability: float | None = None


@dataclass(frozen=True)
class ReportMap:
    """The map of a dataset's images: how many there are, and those that are shown."""

    images: int
    points: tuple[MapPoint, ...]


@dataclass(frozen=True)
class SimilarImage:
    """An image that resembles another one; `similarity` is 1 for copies, near 0 for strangers."""

    split: str
    record: int
    category: str
    similarity: float
    other_category: bool
    other_split: bool


class Report(Job):
    """The report on a dataset. `sentences` says what was found, the worst first, and `counts` how much of each kind;
    both are empty until it is Done."""

    RESOURCE = "dataset_reports"

    dataset_id = Fact(str)
    images = Fact(optional(int))
    effective_images = Fact(optional(int))
    sentences: Fact[Sequence[str]] = Fact(sequence(str))
    counts = Fact(table)

    def refresh(self: R) -> R:
        empty: dict[str, Any] = {"sentences": [], "counts": {}, "images": None, "effective_images": None, "error": ""}
        self.facts = {**empty, **self.facts, **self._page({})}
        return self

    def findings(self, kind: str) -> Iterator[Finding]:
        """All findings of a kind, the worst first: exact_copies, near_copies, label_errors, blank, dark, bright,
        blurred, odd_shape, tiny or lonely."""
        number = pages = 1
        while number <= pages:
            page = self._page({"finding": kind, "page": number})
            pages = page.get("pages", {}).get(kind, 1)
            yield from map(_finding_of, page.get("findings", {}).get(kind, []))
            number += 1

    def download(self, file: str | os.PathLike[str]) -> Path:
        """Write all findings to a file as CSV, one image of a finding a line."""
        return self._connection.download(f"/datasets/{self.facts['dataset_id']}/report.csv", Path(file))

    def map(self, count: int = 5000, category: int | None = None) -> ReportMap:
        """The map of at most `count` images, of one category (its number) or of all: similar images lie together."""
        params = {"count": count} | ({} if category is None else {"category": category})
        facts = self._connection.json("GET", f"/datasets/{self.facts['dataset_id']}/report/map.json", params=params)
        return ReportMap(facts["images"], tuple(_points_of(facts)))

    def similar(self, split: str, record: int, count: int = 12) -> list[SimilarImage]:
        """The images that resemble one the most, the most similar first."""
        path = f"/datasets/{self.facts['dataset_id']}/report/similar.json"
        facts = self._connection.json("GET", path, params={"image": f"{split}/{record}", "count": count})
        return [_similar_image(image) for image in facts["similar"]]

    def _page(self, params: Mapping[str, Any]) -> dict[str, Any]:
        path = f"/datasets/{self.facts['dataset_id']}/report.json"
        page: dict[str, Any] = self._connection.json("GET", path, params=params)
        return page


_similar_image = record(SimilarImage)


def _points_of(facts: Mapping[str, Any]) -> Iterator[MapPoint]:
    """The points of a response, which has a list for each fact; some lists are empty."""
    names, splits = facts["categories"], facts["splits"]
    columns = [facts["points"][name] for name in ("x", "y", "split", "record", "category", "likelier", "probability")]
    for x, y, split, place, category, likelier, probability in zip_longest(*columns):
        name = "" if category is None else names[category]
        likely = None if likelier is None else names[likelier]
        yield MapPoint(x, y, splits[split], place, name, likely, probability)


def _finding_of(facts: Mapping[str, Any]) -> Finding:
    images = tuple(map(record(FoundImage), facts["images"]))
    return record(Finding)({**facts, "images": images})
