"""DatasetKind, the base class of the kinds of datasets, and their registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from digits_project.common import declarations

if TYPE_CHECKING:
    from datasets.models import Dataset

MAX_NAME = 14  # characters: the length of the column `kind`


class DatasetKind:
    """A kind of datasets, such as classification: what its labels mean, how it is built, and how it is described.

    name: the kind in the column, in routes and in the other apps' registries, such as "classification".
    label: DIGITS's words for it, as in /status.
    has_categories: whether the label of a record is the number of a category, whose names are in `categories` and in
        labels.txt; else it is an array of the dataset's `label_shape`.
    is_resized: whether the images are decoded and resized to the form's size, and `image_shape` is known at once.
    """

    name: str
    label: str
    has_categories = False
    is_resized = False

    def build(self, dataset: Dataset, report: Callable[[float], None]) -> dict:
        """Build the databases of a row in its folder, and return the columns to store, by name. Raises BadInput."""
        raise NotImplementedError

    def describe_tasks(self, dataset: Dataset) -> dict[str, list[dict]]:
        """DIGITS's lists of tasks, only the tasks that are done."""
        raise NotImplementedError


KINDS: dict[str, DatasetKind] = {}  # by name


def register(kind: DatasetKind) -> DatasetKind:
    """Add a kind, after those that are registered already."""
    return declarations.add(KINDS, kind, "a kind {!r} of datasets", MAX_NAME)


def kind_choices() -> list[tuple[str, str]]:
    """The choices of the column. A function, so that a new kind needs no migration for them."""
    return [(kind.name, kind.label) for kind in KINDS.values()]


def describe_image(dataset: Dataset) -> dict[str, int]:
    """{name: number} of the images' width, height and channels, under DIGITS's names."""
    width, height = dataset.resize_width, dataset.resize_height
    return {"image_width": width, "image_height": height, "image_channels": dataset.resize_channels}
