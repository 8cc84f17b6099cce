"""The map of a dataset's images, and the images that resemble one, for pages and routes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np

from datasets import reports
from datasets.contents.gallery import NoSuchImage
from datasets.models import Dataset, DatasetReport
from datasets.report.image_map import map_files
from digits_project.common.errors import NOT_ARRAYS, DamagedFile, Gone
from digits_project.jobs.models import Status

T = TypeVar("T")


class NoMap(Exception):
    """The report has no map; the text says why, and what to do."""


def reason_against(report: DatasetReport) -> str:
    """A message: the reason why a report has no map; "" if it has one."""
    if report.status != Status.DONE:
        return f"The report is {report.status}; the map is there once it is Done."
    if reports.is_outdated(report):
        return "An earlier version of this server made the report, without a map. Make the report again."
    if not report.summary["network"]:
        return f"The report has no map, because no features were compared: {report.summary['why_no_network']}"
    return ""


class ImageMap:
    """The map that a report made. Its methods raise DamagedFile if its files can't be read, Gone if the dataset was
    deleted meanwhile.

    Images have numbers from 0 through the splits in their order. Raises NoMap.
    """

    def __init__(self, report: DatasetReport) -> None:
        if reason := reason_against(report):
            raise NoMap(reason)
        self._report, self._folder = report, report.dataset.report_directory
        self.categories = report.dataset.category_names
        self.splits = [split["split"] for split in report.summary["splits"]]
        self._starts = [0, *accumulate(split["images"] for split in report.summary["splits"])]
        self._points = self._read(lambda: map_files.read_points(self._folder))
        if len(self._points) != self._starts[-1]:
            raise DamagedFile(self._damaged())

    def points(self, count: int, category: int | None = None) -> dict[str, Any]:
        """At most `count` images of a category, or of all, at equal distances in the order of categories.

        `points` has a list for each fact; `category`, `likelier` and `probability` are empty where there are none.
        """
        numbers = np.argsort(self._points["category"], kind="stable")
        if category is not None:
            numbers = numbers[self._points["category"][numbers] == category]
        shown = numbers[np.unique(np.linspace(0, len(numbers) - 1, min(count, len(numbers))).astype(np.int64))]
        rows, splits = self._points[shown], self._splits_of(shown)
        is_judged = len(rows) > 0 and bool((rows["likelier"] >= 0).all())
        columns = {
            "x": _rounded(rows["x"], 4),
            "y": _rounded(rows["y"], 4),
            "split": splits.tolist(),
            "record": (shown - np.take(self._starts, splits)).tolist(),
            "category": rows["category"].tolist() if self.categories else [],
            "likelier": rows["likelier"].tolist() if is_judged else [],
            "probability": _rounded(rows["probability"], 3) if is_judged else [],
        }
        return {
            "images": len(numbers),
            "shown": len(shown),
            "splits": self.splits,
            "categories": self.categories,
            "points": columns,
        }

    def categories_as_judged(self) -> list[dict[str, Any]]:
        """For each category the number of its images, the percentage that the classifier recognized (None if there was
        no classifier), and the other category that it gave most of the others, with their number."""
        count = len(self.categories)
        own, given = self._points["category"].astype(np.int64), self._points["likelier"]
        images = np.bincount(own, minlength=count).tolist() if count else []
        rows: list[dict[str, Any]] = [
            {"number": number, "category": name, "images": images[number], "recognized": None}
            for number, name in enumerate(self.categories)
        ]
        pairs, numbers = np.unique(own[given >= 0] * count + given[given >= 0], return_counts=True)
        for place in np.argsort(numbers, kind="stable").tolist():  # ascending, so the last one given stays
            category, likelier = divmod(int(pairs[place]), count)
            row, images_given = rows[category], int(numbers[place])
            row["recognized"] = row["recognized"] or 0.0
            if likelier == category:
                row["recognized"] = 100 * images_given / row["images"]
            else:
                row |= {"taken_for": self.categories[likelier], "taken": images_given}
        return rows

    def image(self, split: str, record: int) -> dict[str, Any]:
        """Split, record and category of an image. Raises NoSuchImage."""
        return self._described(self._number(split, record))

    def similar(self, split: str, record: int, count: int) -> list[dict[str, Any]]:
        """The images that resemble one the most, with the cosine of both vectors. Raises NoSuchImage."""
        own = self.image(split, record)
        found = self._read(lambda: map_files.find_similar(self._folder, self._number(split, record), count))
        return [
            {
                **(facts := self._described(image)),
                "similarity": round(cosine, 4),
                "other_category": facts["category"] != own["category"],
                "other_split": facts["split"] != own["split"],
            }
            for image, cosine in zip(found.images.tolist(), found.cosines.tolist(), strict=True)
        ]

    def _number(self, split: str, record: int) -> int:
        if split not in self.splits:
            raise NoSuchImage(f"There is no split {split}; there are {', '.join(self.splits)}.")
        place = self.splits.index(split)
        images = self._starts[place + 1] - self._starts[place]
        if record >= images:
            raise NoSuchImage(f"There is no image {record} in {split}; there are {images}, counted from 0.")
        return self._starts[place] + record

    def _splits_of(self, images: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._starts, images, side="right") - 1

    def _described(self, image: int) -> dict[str, Any]:
        split = int(self._splits_of(np.array(image)))
        category = self.categories[self._points["category"][image]] if self.categories else ""
        return {"split": self.splits[split], "record": image - self._starts[split], "category": category}

    def _read(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except (OSError, IndexError, *NOT_ARRAYS) as unreadable:
            if not Dataset.objects.filter(pk=self._report.dataset_id).exists():
                raise Gone from unreadable
            raise DamagedFile(self._damaged()) from unreadable

    def _damaged(self) -> str:
        return f"The map in {self._report.dataset_id}/report can't be read. Delete the report and make it again."


def _rounded(values: np.ndarray, digits: int) -> list[float]:
    return [round(value, digits) for value in values.tolist()]
