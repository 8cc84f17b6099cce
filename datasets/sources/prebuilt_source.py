"""method=prebuilt: existing databases, with labels of any shape."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from datasets import imagedb
from datasets.kinds import GENERIC
from datasets.sources.source import Source, SourceForm
from datasets.sources.source_fields import DatabaseField, MeanFile
from digits_project.api.forms import MAX_PATH
from digits_project.common.errors import BadInput

if TYPE_CHECKING:
    from datasets.models import Dataset

_LABELS = "Database of their labels, if the labels are not in the database of the images."


class PrebuiltForm(SourceForm):
    prebuilt_train_images = DatabaseField(
        help_text="LMDB of Caffe Datum or a RecordIO file, on the server: the images for training."
    )
    prebuilt_train_labels = DatabaseField(default="", help_text=_LABELS)
    prebuilt_val_images = DatabaseField(default="", help_text="The same for the images for validation.")
    prebuilt_val_labels = DatabaseField(default="", help_text=_LABELS)
    prebuilt_mean_file = MeanFile(
        default="", help_text="Mean image, .binaryproto or .npy, on the server; empty: the mean is computed."
    )

    def wrong_together(self, values):
        """Either both splits or neither have their labels in separate databases."""
        names = ("val_images", "train_labels", "val_labels")
        if any(f"prebuilt_{name}" not in values for name in names):
            return {}  # one of these fields is invalid and has an error of its own
        has_val, train_labels, val_labels = (bool(values[f"prebuilt_{name}"]) for name in names)
        if val_labels and not has_val:
            return {"prebuilt_val_images": "Required with prebuilt_val_labels: the images of these labels."}
        if has_val and train_labels != val_labels:
            missing = "train" if val_labels else "val"
            return {f"prebuilt_{missing}_labels": "Name a database of labels for both splits, or for neither."}
        return {}


class PrebuiltMethod(Source):
    """Existing databases, whose images are neither resized nor encoded again."""

    name = "prebuilt"
    label = "databases that exist already"
    description = label
    kind = GENERIC
    form = PrebuiltForm
    columns = {
        "prebuilt_train_images": models.CharField(max_length=MAX_PATH, blank=True),
        "prebuilt_train_labels": models.CharField(max_length=MAX_PATH, blank=True),
        "prebuilt_val_images": models.CharField(max_length=MAX_PATH, blank=True),
        "prebuilt_val_labels": models.CharField(max_length=MAX_PATH, blank=True),
        "prebuilt_mean_file": models.CharField(max_length=MAX_PATH, blank=True),
    }
    paths = tuple(columns)

    def check(self, dataset):
        if not dataset.prebuilt_train_images:
            raise ValidationError({"prebuilt_train_images": "This field is required."})

    def spec(self, dataset):
        train = _split(dataset, "train")
        if train is None:
            raise BadInput("There is no database of training images.")
        return imagedb.PrebuiltSpec(
            train=train,
            val=_split(dataset, "val"),
            mean=Path(dataset.prebuilt_mean_file) if dataset.prebuilt_mean_file else None,
            roots=tuple(settings.DIGITS_DATA_ROOTS),
        )


def _split(dataset: Dataset, split: str) -> imagedb.PrebuiltSplit | None:
    images, labels = (getattr(dataset, f"prebuilt_{split}_{what}") for what in ("images", "labels"))
    return imagedb.PrebuiltSplit(Path(images), Path(labels) if labels else None) if images else None
