"""What a report found, and its files: one of JSON lines for each kind of finding, the worst first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from datasets.report.copy_groups import CopyGroup
from datasets.report.image_set import ImageSet
from datasets.report.labels.confident_learning import LabelErrors
from datasets.report.marks import Mark
from datasets.report.unusual_images import Unusual

LABEL_ERRORS, EXACT_COPIES, NEAR_COPIES = "label_errors", "exact_copies", "near_copies"
TRAITS = ("blank", "dark", "bright", "blurred", "odd_shape", "tiny", "lonely")
KINDS = (EXACT_COPIES, NEAR_COPIES, LABEL_ERRORS, *TRAITS)
MAX_KEPT = 5000  # findings of a kind
MAX_IN_GROUP = 100  # images of a group of copies
SUFFIX = ".jsonl"


@dataclass(frozen=True)
class Findings:
    """What was found about the images, by number. roots: the first image of the group of copies that each is in.

    errors: None if labels were not looked at. marks: of categories, the clearest first.
    """

    categories: np.ndarray
    roots: np.ndarray
    groups: Sequence[CopyGroup]
    unusual: Sequence[Unusual]
    errors: LabelErrors | None
    marks: Sequence[Mark] = ()

    def counts(self) -> dict[str, int]:
        """How many there are of each kind: groups of copies, or images."""
        exact = sum(group.is_exact for group in self.groups)
        traits = {found.trait: len(found.images) for found in self.unusual}
        errors = 0 if self.errors is None else len(self.errors.images)
        counts = {EXACT_COPIES: exact, NEAR_COPIES: len(self.groups) - exact, LABEL_ERRORS: errors}
        return counts | {trait: traits.get(trait, 0) for trait in TRAITS}


def write_findings(folder: Path, images: ImageSet, directory: Path, found: Findings) -> None:
    """Write the findings into a folder; `directory` has the lists of the images' paths."""
    rows = {kind: list(islice(of_kind, MAX_KEPT)) for kind, of_kind in _rows(images, found)}
    _add_paths([image for of_kind in rows.values() for row in of_kind for image in row["images"]], directory)
    for kind, of_kind in rows.items():
        with (folder / f"{kind}{SUFFIX}").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in of_kind)


def read_findings(folder: Path, kind: str, first: int, count: int) -> list[dict[str, Any]]:
    """Findings of a kind from number `first` on; [] if there are none, or no report."""
    try:
        with (folder / f"{kind}{SUFFIX}").open(encoding="utf-8") as file:
            return [json.loads(line) for line in islice(file, first, first + count)]
    except FileNotFoundError:
        return []


def _rows(images: ImageSet, found: Findings) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    def image(number: int) -> dict[str, Any]:
        place = images.place(number)
        return {"split": place.split, "record": place.record, "category": int(found.categories[number])}

    def of_groups(is_exact: bool) -> Iterator[dict[str, Any]]:
        for group in found.groups:
            if group.is_exact == is_exact:
                shown = [image(number) for number in group.images[:MAX_IN_GROUP]]
                facts = {"count": len(group.images), "conflict": group.is_conflict, "leak": group.is_leak}
                yield facts | {"images": shown}

    yield EXACT_COPIES, of_groups(True)
    yield NEAR_COPIES, of_groups(False)
    if found.errors is not None:
        yield LABEL_ERRORS, _of_errors(found.errors, image)
    for one in found.unusual:
        yield one.trait, _of_trait(one, image)


def _of_errors(errors: LabelErrors, image) -> Iterator[dict[str, Any]]:
    columns = (errors.images, errors.likelier, errors.probabilities, errors.of_labels)
    for number, likelier, probability, of_label in zip(*(column.tolist() for column in columns), strict=True):
        values = {"likelier": likelier, "probability": round(probability, 4), "of_label": round(of_label, 4)}
        yield values | {"images": [image(number)]}


def _of_trait(found: Unusual, image) -> Iterator[dict[str, Any]]:
    for number, value in zip(found.images.tolist(), found.values.tolist(), strict=True):
        yield {"value": round(value, 3), "images": [image(number)]}


def _add_paths(shown: Iterable[dict[str, Any]], directory: Path) -> None:
    """Give each image the path of its file, from the lists of the splits, which are read once; "" without a list."""
    wanted: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for image in shown:
        image["path"] = ""
        wanted.setdefault(image["split"], {}).setdefault(image["record"], []).append(image)
    for split, of_split in wanted.items():
        listing = directory / f"{split}.txt"
        if not listing.exists():
            continue
        with listing.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            for record, line in enumerate(lines):
                for image in of_split.get(record, ()):
                    image["path"] = line.rpartition(" ")[0]
