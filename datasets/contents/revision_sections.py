"""What pages show of the revisions of a dataset, and of what two of them differ in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.urls import reverse

from datasets import revisions
from datasets.contents import gallery
from datasets.imagedb import Changes
from datasets.models import Dataset
from datasets.sources.folder_source import SPLITS
from digits_project.common.errors import BadInput

MAX_SHOWN = 200  # images of a kind on a page
MAX_LISTED = 20  # revisions on the page of a dataset


class ShownImage(NamedTuple):
    """An image that two revisions differ in: a caption, its path, and the addresses of its page and its thumbnail."""

    name: str
    caption: str
    path: str
    page: str
    picture: str


class Change(NamedTuple):
    """The images of a category in a split, before and after."""

    split: str
    before: int
    after: int


def short_form(dataset: Dataset) -> dict[str, Any]:
    """What the page of a dataset shows of its parent and its revisions."""
    made = list(revisions.revisions_of(dataset)[: MAX_LISTED + 1])
    return {
        "parent": revisions.seen_parent(dataset),
        "parent_name": revisions.named_parent(dataset)["name"] if dataset.revision else "",
        "revisions": made[:MAX_LISTED],
        "more_revisions": len(made) > MAX_LISTED,
        "relatives": list(revisions.relatives(dataset)[:MAX_LISTED]),
    }


def list_variables(dataset: Dataset) -> dict[str, Any]:
    """The variables of the template datasets/revisions.html."""
    return {"dataset": dataset, "reason": reason_against(dataset)} | short_form(dataset)


def reason_against(dataset: Dataset) -> str:
    """Why the dataset can't be revised; "" if it can."""
    try:
        revisions.refuse(dataset)
    except (BadInput, revisions.CanNotRevise) as no:
        return str(no)
    return ""


def difference_variables(dataset: Dataset, found: Mapping[str, Any], before: Dataset | None) -> dict[str, Any]:
    """The variables of the template datasets/difference.html; `before` is None if that dataset was deleted."""
    return {
        "dataset": dataset,
        "before": before,
        "relatives": list(revisions.relatives(dataset)[:MAX_LISTED]),
        "counts": {kind: len(found[kind]) for kind in ("excluded", "added", "relabelled")},
        "excluded": shown_images(found["excluded"], before),
        "added": shown_images(found["added"], dataset),
        "relabelled": shown_images(found["relabelled"], before),
        "rows": changed_categories(found["categories"]),
        "totals": totals(found["categories"]),
    }


def preview_variables(dataset: Dataset, changes: Changes, found: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of the template datasets/revision_preview.html."""
    sent = changes.as_json()
    return {
        "dataset": dataset,
        "exclude": "\n".join(sent["exclude"]),
        "relabel": "\n".join(f"{image}={category}" for image, category in sent["relabel"].items()),
        "counts": {kind: len(found[kind]) for kind in ("excluded", "relabelled")},
        "excluded": shown_images(found["excluded"], dataset),
        "relabelled": shown_images(found["relabelled"], dataset),
        "rows": changed_categories(found["categories"]),
        "totals": totals(found["categories"]),
        "new_name": revisions.next_name(dataset),
        "emptied": emptied(found["categories"]),
    }


def emptied(categories: Sequence[Mapping[str, Any]]) -> list[str]:
    """The categories that lose their last image for training."""
    return [one["category"] for one in categories if one["before"]["train"] and not one["after"]["train"]]


def shown_images(images: Sequence[Mapping[str, str]], dataset: Dataset | None) -> list[ShownImage]:
    """The first images of a list, as this dataset has them; without pictures if it is not there."""
    shown = []
    for image in images[:MAX_SHOWN]:
        split, _, record = image["image"].partition("/")
        where = [dataset.pk, split, int(record)] if dataset else []
        page = reverse("dataset-image", args=where) if dataset else ""
        picture = f"{reverse('dataset-thumbnail', args=where)}?{gallery.version(dataset)}" if dataset else ""
        caption = image["category"] if "category" in image else f"{image['from']} → {image['to']}"
        shown.append(ShownImage(image["image"], caption, image["path"], page, picture))
    return shown


def changed_categories(categories: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Change]]]:
    """The categories whose number of images changes, with the numbers of each split."""
    rows = ((one["category"], _changes(one["before"], one["after"])) for one in categories)
    return [(name, changes) for name, changes in rows if any(one.before != one.after for one in changes)]


def totals(categories: Sequence[Mapping[str, Any]]) -> list[Change]:
    """The number of images of each split, before and after."""
    sums: dict[str, dict[str, int]] = {"before": {}, "after": {}}
    for one in categories:
        for when, of_splits in sums.items():
            for split, count in one[when].items():
                of_splits[split] = of_splits.get(split, 0) + count
    return _changes(sums["before"], sums["after"])


def _changes(before: Mapping[str, int], after: Mapping[str, int]) -> list[Change]:
    names = [split for split in SPLITS if split in before or split in after]
    return [Change(split, before.get(split, 0), after.get(split, 0)) for split in names]
