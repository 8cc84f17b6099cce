"""Makes revisions of datasets, and compares them."""

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from datasets import imagedb, kinds, services
from datasets.imagedb.revising import record_of_changes
from datasets.imagedb.revising.changes import RevisedSplit, labels_of, revised
from datasets.imagedb.revising.comparing import Side, compare
from datasets.models import Dataset
from datasets.sources import FOLD, REVISION
from datasets.sources.revision_source import CHANGES
from digits_project.accounts.viewer import limited_user, without_paths
from digits_project.common.errors import BadInput, DamagedFile, Gone
from digits_project.jobs.models import Status
from digits_project.jobs.visibility import find_visible, visible

MAX_NAME = 230  # characters of a parent's name in that of its revision
# The columns that a revision has from its parent.
TAKEN_OVER = (
    *("kind", "resize_channels", "resize_width", "resize_height", "resize_mode", "encoding"),
    *("alpha_background", "depth", "split_groups", "seed", "group_name"),
)
_NUMBERED = re.compile(r", revision (\d{1,9})$")


class CanNotRevise(Exception):
    """The dataset is in no state in which it can be revised or compared; the text says why."""


def revise(dataset: Dataset, owner: str, changes: imagedb.Changes, name: str = "") -> Dataset:
    """Make a revision of a dataset, which an io worker then builds from the records of this one.

    Raises CanNotRevise, BadInput, ValidationError for wrong changes, LimitReached, or Gone.
    """
    refuse(dataset)
    splits = planned(dataset, changes)
    with transaction.atomic():
        if not Dataset.objects.select_for_update(no_key=True).filter(pk=dataset.pk, status=Status.DONE).exists():
            raise Gone
        return services.create_dataset(
            owner,
            files={CHANGES: changes},
            name=name or next_name(dataset),
            method=REVISION.name,
            parent=dataset,
            revision={
                "parent_id": dataset.pk,
                "parent_name": dataset.name,
                "first_id": first_of(dataset),
                "excluded": sum(len(split.excluded) for split in splits),
                "relabelled": sum(len(split.relabelled) for split in splits),
            },
            **{column: getattr(dataset, column) for column in TAKEN_OVER},
        )


def make_fold(dataset: Dataset, owner: str, fold: int, folds: int, **fields: Any) -> Dataset:
    """Make a fold of a dataset: its images for training and validation are dealt anew, and those of one of `folds`
    parts are for validation. fields: further columns. The owner's limits don't apply. Raises ValidationError."""
    columns: dict[str, Any] = {column: getattr(dataset, column) for column in TAKEN_OVER} | fields
    columns |= {"method": FOLD.name, "parent": dataset, "fold": fold, "folds": folds}
    return services.create_dataset(owner, limited=False, **columns)


def refuse(dataset: Dataset) -> None:
    """Raise BadInput if datasets of its kind have no revisions, or CanNotRevise unless it is Done."""
    if dataset.kind != kinds.CLASSIFICATION:
        raise BadInput(
            f"{dataset.name} is a {dataset.TYPE}; only image classification datasets can be revised, because only "
            "their images have categories."
        )
    if dataset.status != Status.DONE:
        raise CanNotRevise(f"{dataset.name} is {dataset.status}; a dataset can be revised when it is Done.")


def planned(dataset: Dataset, changes: imagedb.Changes) -> list[RevisedSplit]:
    """The splits of a dataset after changes. Raises ValidationError for wrong changes."""
    labels = labels_of(dataset.directory, [split["name"] for split in dataset.splits])
    try:
        return revised(labels, dataset.category_names, changes)
    except imagedb.WrongChange as wrong:
        raise ValidationError({wrong.field: str(wrong)}) from wrong


def preview(dataset: Dataset, changes: imagedb.Changes) -> dict[str, Any]:
    """What a revision with these changes would differ in, as JSON values. Raises as revise() does."""
    refuse(dataset)
    return record_of_changes.described(planned(dataset, changes), dataset.category_names, {})


def revisions_of(dataset: Dataset) -> QuerySet[Dataset]:
    """The revisions of a dataset that the user may see, the oldest first."""
    return visible(Dataset).filter(parent=dataset, method=REVISION.name).order_by("created_at")


def relatives(dataset: Dataset) -> QuerySet[Dataset]:
    """The other datasets that the user may see and that can be compared with this one, the oldest first."""
    first_id = first_of(dataset)
    rows = visible(Dataset).filter(status=Status.DONE)
    related = rows.filter(revision__first_id=first_id) | rows.filter(pk=first_id)
    return related.exclude(pk=dataset.pk).order_by("created_at")


def seen_parent(dataset: Dataset) -> Dataset | None:
    """The dataset that this one revises, if it is there and the user may see it."""
    return find_visible(dataset.parent_id, Dataset) if dataset.parent_id else None


def named_parent(dataset: Dataset) -> dict[str, str]:
    """`id` and `name` of the dataset that this revision was made of, also if that was deleted; "" if the user may not
    know them: who could see a deleted dataset is not stored, only that the revision's owner could."""
    user = limited_user()
    is_known = seen_parent(dataset) if dataset.parent_id else user is None or user.get_username() == dataset.owner
    return {name: dataset.revision[f"parent_{name}"] if is_known else "" for name in ("id", "name")}


def difference(dataset: Dataset, other: Dataset | None = None) -> dict[str, Any]:
    """What a dataset differs in from another revision, by default from the one that it revises, even if that was
    deleted. Raises CanNotRevise, BadInput or DamagedFile."""
    for one in (dataset, *([other] if other else ())):
        if one.status != Status.DONE:
            raise CanNotRevise(f"{one.name} is {one.status}; revisions can be compared when they are Done.")
    if other is None:
        found = _stored(dataset) | {"added": []}
        about = {f"before_{name}": value for name, value in named_parent(dataset).items()}
    else:
        if first_of(dataset) != first_of(other):
            raise BadInput(f"{dataset.name} and {other.name} are not revisions of one dataset.")
        found = compare(_side(other), _side(dataset))
        about = {"before_id": other.pk, "before_name": other.name}
    return {"dataset_id": dataset.pk, **about, **without_paths(found)}


def first_of(dataset: Dataset) -> str:
    """The id of the dataset that was built from images, of which this one is a revision, or itself."""
    return dataset.revision.get("first_id", dataset.pk)


def _stored(dataset: Dataset) -> dict[str, Any]:
    if not dataset.revision:
        raise BadInput(f"{dataset.name} is no revision of another dataset; name the one to compare it with.")
    try:
        return record_of_changes.read(dataset.directory)
    except (OSError, ValueError) as gone:
        raise DamagedFile(f"{dataset.pk}/{record_of_changes.CHANGES} can't be read; restore it.") from gone


def _side(dataset: Dataset) -> Side:
    return Side(dataset.directory, [split["name"] for split in dataset.splits], dataset.category_names)


def next_name(dataset: Dataset) -> str:
    """The name of a dataset's next revision, unless its user names it: with a number above those of all others."""
    names = Dataset.objects.filter(revision__first_id=first_of(dataset)).values_list("name", flat=True)
    numbers = [int(found[1]) for name in names if (found := _NUMBERED.search(name))]
    number = max(len(names), *numbers, 0) + 1
    return f"{_NUMBERED.sub('', dataset.name)[:MAX_NAME]}, revision {number}"
