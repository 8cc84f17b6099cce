"""What the page of a dataset shows besides its JSON."""

from __future__ import annotations

from typing import Any

from datasets.contents import gallery, revision_sections
from datasets.contents.category_bars import MAX_CATEGORIES, bars_of
from datasets.contents.report_sections import short_form
from datasets.models import Dataset
from digits_project.accounts.viewer import without_paths
from digits_project.common.errors import DamagedFile
from digits_project.jobs import log_files
from digits_project.jobs.models import ENDED, Status
from digits_project.jobs.visibility import visible

MAX_SKIPPED = 200  # skipped files shown on a page
MAX_MODELS = 100
MAX_FIRST = 24  # images
# Parts of the errors after which the same images can be built: an operator can help, or it was an accident.
PASSING = ("resume", "error id", "memory")


def page_variables(dataset: Dataset) -> dict[str, Any]:
    """The variables of the template datasets/dataset.html."""
    return {
        **contents(dataset),
        **short_form(dataset),
        **revision_sections.short_form(dataset),
        "dataset": dataset,
        "trainable": dataset.status not in (Status.ERROR, Status.ABORTED),
        "resumable": can_succeed(dataset),
        "images": dataset.images,
        "bytes": dataset.disk_bytes if dataset.status in ENDED else None,
        "totals": [(split["name"], split["entries"]) for split in dataset.splits],
    }


def contents(dataset: Dataset) -> dict[str, Any]:
    """What the page and the admin's page show of a dataset: its images, its categories, and the models built on it."""
    models = visible(dataset.trained_models.model).filter(dataset=dataset)
    skipped = log_files.lines_starting_with(dataset.directory / "build.log", "skipped ", MAX_SKIPPED)
    return {
        "version": gallery.version(dataset),
        "rows": bars_of(dataset) if dataset.categories else [],
        "more_categories": max(0, len(dataset.categories) - MAX_CATEGORIES),
        "has_mean": (dataset.directory / "mean.png").exists(),
        "first": first_records(dataset)[:MAX_FIRST],
        "skipped": without_paths(skipped),
        "models": models.only("job_id", "name", "status", "owner")[:MAX_MODELS],
    }


def first_records(dataset: Dataset) -> list[int]:
    """The numbers of the first records; empty before the dataset is built."""
    try:
        return gallery.page(dataset, "train", None, 1).records
    except (gallery.NoSuchImage, DamagedFile):
        return []


def can_succeed(dataset: Dataset) -> bool:
    """Whether a resume can end otherwise than before: images that were uploaded do not change, a folder can."""
    failed = dataset.status == Status.ERROR
    return not (failed and dataset.source.has_own_images(dataset)) or any(part in dataset.error for part in PASSING)
