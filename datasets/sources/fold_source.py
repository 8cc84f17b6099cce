"""method=fold: the records of another dataset, with its images for training and validation dealt anew."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from datasets import imagedb
from datasets.sources.revision_source import CopiedRecords
from digits_project.common.errors import BadInput


class FoldMethod(CopiedRecords):
    """One of k folds of a dataset. A search with folds makes such datasets (datasets.revisions.make_fold)."""

    name = "fold"
    label = "a fold of another dataset"
    description = label
    has_report = False  # that of the parent says the same of the same images

    def check(self, dataset):
        super().check(dataset)
        if not dataset.fold:
            raise ValidationError({"parent": "This field is required."})

    def spec(self, dataset):
        parent = dataset.parent
        if parent is None:
            raise BadInput("The dataset whose fold this is was deleted, so its images can't be copied.")
        return imagedb.FoldSpec(
            **self.of_parent(parent),
            shape=parent.image_shape,
            fold=dataset.fold,
            folds=dataset.folds,
            seed=parent.seed,
            split_groups=parent.split_groups,
        )

    def build(self, dataset, report):
        return imagedb.build_fold(self.spec(dataset), dataset.directory, report)
