"""method=revision: the records of another dataset, without some images and with other labels of some."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError

from datasets import imagedb
from datasets.kinds import CLASSIFICATION
from datasets.sources.source import Source
from digits_project.common.errors import BadInput

if TYPE_CHECKING:
    from datasets.models import Dataset

CHANGES = "changes"  # the name of the changes among the files of create_dataset
FILE = "changes.json"  # in the job's folder, until the dataset is Done


class CopiedRecords(Source):
    """A source whose records are copied from those of the dataset's parent. datasets.revisions makes such datasets."""

    kind = CLASSIFICATION
    is_in_forms = False

    def check(self, dataset):
        if dataset.parent is None:
            raise ValidationError({"parent": "This field is required."})

    def of_parent(self, parent: Dataset) -> dict[str, Any]:
        """What the specification of each such build has from the parent."""
        return {
            "source": parent.directory,
            "splits": [split["name"] for split in parent.splits],
            "categories": parent.category_names,
            "digests": parent.digests,
            "white_level": parent.white_level,
        }


class RevisionMethod(CopiedRecords):
    """The parent's records without some images, and with other labels of some."""

    name = "revision"
    label = "a revision of another dataset"
    description = label

    def spec(self, dataset):
        parent = dataset.parent
        if parent is None:
            raise BadInput("The dataset that this one revises was deleted, so its images can't be copied.")
        return imagedb.RevisionSpec(
            **self.of_parent(parent),
            changes=self.changes(dataset),
            has_copies=bool(parent.copies),
        )

    def build(self, dataset, report):
        return imagedb.revise(self.spec(dataset), dataset.directory, report)

    def changes(self, dataset: Dataset) -> imagedb.Changes:
        """The changes that were asked for. Raises BadInput if their file is gone."""
        try:
            return imagedb.Changes(**json.loads((dataset.directory / FILE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise BadInput(f"{dataset.pk}/{FILE} is missing. Make the revision again.") from None

    def keep_files(self, dataset, files):
        content = json.dumps(files[CHANGES].as_json())
        (dataset.directory / FILE).write_text(content, encoding="utf-8")

    def drop_files(self, dataset):
        (dataset.directory / FILE).unlink(missing_ok=True)
