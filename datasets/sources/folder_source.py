"""method=folder: a folder, or an archive, with one subfolder of images for each category."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from rest_framework import serializers

from datasets import imagedb
from datasets.kinds import CLASSIFICATION
from datasets.sources.source import Source, SourceForm, describe_parse
from datasets.sources.source_fields import ArchiveField, CategoriesFolder, ReceivedArchive
from digits_project.accounts.permissions import has_accounts
from digits_project.api.forms import MAX_PATH, Flag
from digits_project.common.confined_files import shown
from digits_project.common.errors import BadInput
from digits_project.jobs import limits

MAX_PER_CLASS = 2**31 - 1
MAX_ARCHIVE_NAME = 255
SPLITS = ("train", "val", "test")
PERCENT = [MinValueValidator(0), MaxValueValidator(100)]
COUNT = [MinValueValidator(1), MaxValueValidator(MAX_PER_CLASS)]


def _percent(default: float, help_text: str) -> serializers.FloatField:
    return serializers.FloatField(
        default=default, min_value=0, max_value=100, validators=[_leaves_some], help_text=help_text
    )


def _leaves_some(percent: float) -> None:
    if percent == 100:
        raise serializers.ValidationError("100 % leaves no image for training.")


def _least() -> serializers.IntegerField:
    text = "A category with fewer images than this is left out."
    return serializers.IntegerField(default=2, min_value=1, max_value=MAX_PER_CLASS, help_text=text)


def _most() -> serializers.IntegerField:
    text = "The maximum number of images of a category, drawn at random; empty: all."
    return serializers.IntegerField(default=None, min_value=1, max_value=MAX_PER_CLASS, help_text=text)


class FolderForm(SourceForm):
    folder_train = CategoriesFolder(
        "train",
        required=False,
        help_text=(
            "Folder of the server with one subfolder for each category, or an archive of such a folder (zip, tar, "
            "tar.gz, tar.bz2). It can hold train, val and test folders instead, which become the splits. "
            "method=folder requires this or archive_train."
        ),
    )
    archive_train = ArchiveField(
        required=False,
        help_text="Upload of such an archive, instead of folder_train; it can have folders around the categories.",
    )
    upload_train = ReceivedArchive(
        required=False,
        help_text="The id of such an archive that was sent in pieces to /uploads, instead of folder_train.",
    )
    folder_pct_val = _percent(25, "Percent of each category for validation; ignored with has_val_folder.")
    folder_pct_test = _percent(0, "Percent of each category for testing; ignored with has_test_folder.")
    folder_train_min_per_class = _least()
    folder_train_max_per_class = _most()
    has_val_folder = Flag(help_text="Whether the images for validation are in a separate folder.")
    folder_val = CategoriesFolder(
        "val",
        default="",
        help_text="The folder of the images for validation, with the same subfolders as folder_train.",
    )
    folder_val_min_per_class = _least()
    folder_val_max_per_class = _most()
    has_test_folder = Flag(help_text="Whether the images for testing are in a separate folder.")
    folder_test = CategoriesFolder(
        "test", default="", help_text="The folder of the images for testing, with the same subfolders as folder_train."
    )
    folder_test_min_per_class = _least()
    folder_test_max_per_class = _most()

    def fields_for(self, data, fields):
        fields["folder_train"].required = not (data.get("archive_train") or data.get("upload_train"))
        return fields

    def wrong_together(self, values):
        wrong = {}
        if values.get("archive_train") and values.get("folder_train"):
            wrong["archive_train"] = "Send either an archive or the name of a folder of the server, not both."
        if values.get("upload_train") and (values.get("folder_train") or values.get("archive_train")):
            wrong["upload_train"] = "Name either an upload, an archive or a folder of the server, only one of them."
        shares = 0.0
        for split in ("val", "test"):
            has_folder = values.get(f"has_{split}_folder")
            shares += 0.0 if has_folder else values.get(f"folder_pct_{split}", 0.0)
            if has_folder and values.get(f"folder_{split}") == "":
                wrong[f"folder_{split}"] = f"This field is required with has_{split}_folder."
        if shares >= 100:
            wrong["folder_pct_val"] = (
                "Validation and test together must be below 100 %, so that some images are left for training."
            )
        for split in SPLITS:
            least, most = (values.get(f"folder_{split}_{bound}_per_class") for bound in ("min", "max"))
            if least is not None and most is not None and most < least:
                wrong[f"folder_{split}_max_per_class"] = f"This is less than the minimum, {least}."
        return wrong

    def columns(self, values):
        archive = values.pop("archive_train", None)
        if archive:
            values |= {"archive_train": shown(archive.name)[:MAX_ARCHIVE_NAME], "files": {"archive": archive}}
        if received := values.pop("upload_train", None):
            name = shown(received.name or "upload")[:MAX_ARCHIVE_NAME]
            values |= {"archive_train": name, "files": {"received": received}}
        for split in ("val", "test"):
            if values.pop(f"has_{split}_folder"):
                values[f"folder_pct_{split}"] = 0.0
            else:
                values[f"folder_{split}"] = ""
        return values


class FolderMethod(Source):
    """Each subfolder is a category. A split is a percentage of every category, or has a folder of its own."""

    name = "folder"
    label = "a folder with one subfolder of images per category"
    description = "one subfolder of images for each category"
    kind = CLASSIFICATION
    form = FolderForm
    columns = {
        "folder_train": models.CharField(max_length=MAX_PATH, blank=True),
        # The name of the uploaded archive, if there was one instead of folder_train.
        "archive_train": models.CharField(max_length=MAX_ARCHIVE_NAME, blank=True, editable=False),
        "folder_val": models.CharField(max_length=MAX_PATH, blank=True),
        "folder_test": models.CharField(max_length=MAX_PATH, blank=True),
        "folder_pct_val": models.FloatField(default=25, validators=PERCENT),
        "folder_pct_test": models.FloatField(default=0, validators=PERCENT),
        "folder_train_min_per_class": models.PositiveIntegerField(default=2, validators=COUNT),
        "folder_train_max_per_class": models.PositiveIntegerField(null=True, blank=True, validators=COUNT),
        "folder_val_min_per_class": models.PositiveIntegerField(default=2, validators=COUNT),
        "folder_val_max_per_class": models.PositiveIntegerField(null=True, blank=True, validators=COUNT),
        "folder_test_min_per_class": models.PositiveIntegerField(default=2, validators=COUNT),
        "folder_test_max_per_class": models.PositiveIntegerField(null=True, blank=True, validators=COUNT),
    }
    paths = ("folder_train", "folder_val", "folder_test")

    def check(self, dataset):
        if not dataset.folder_train and not dataset.archive_train:
            raise ValidationError({"folder_train": "This field is required."})
        try:
            # An uploaded archive is stored only when the job has its folder. It is checked when it is unpacked.
            imagedb.check(self.spec(dataset))
        except BadInput as wrong:
            raise ValidationError({"folder_train": str(wrong)}) from wrong

    def spec(self, dataset):
        folders: dict[str, Any] = {split: _folder(dataset, split) for split in SPLITS}
        return imagedb.Spec(
            **folders,
            pct_val=dataset.folder_pct_val,
            pct_test=dataset.folder_pct_test,
            val_limits=_limits(dataset, "val"),
            test_limits=_limits(dataset, "test"),
            **dataset.image_options(),
        )

    def keep_files(self, dataset, files):
        if archive := files.get("archive"):
            _keep_archive(archive, dataset.archive)
            limits.refuse_more_disk(dataset.owner)
        if received := files.get("received"):
            if has_accounts() and received.owner != dataset.owner:
                raise ValidationError({"upload_train": "This is the upload of another user."})
            received.hand_over(dataset.archive)  # counted already among the bytes of its owner
            transaction.on_commit(received.delete)  # so that nothing is lost if the dataset is not created

    def drop_files(self, dataset):
        dataset.archive.unlink(missing_ok=True)

    def has_own_images(self, dataset):
        return bool(dataset.archive_train)

    def form_values(self, dataset):
        own = {f"has_{split}_folder": bool(getattr(dataset, f"folder_{split}")) for split in ("val", "test")}
        return own | {"archive_train": "", "upload_train": ""}

    def describe_parsed(self, dataset):
        """A task for the training folder, with the splits taken from it, and one for each split's own folder."""
        own = {"val": dataset.folder_val, "test": dataset.folder_test}
        dealt = [split for split in dataset.splits if not (own.get(split["name"]) or split.get("in_train"))]
        others = [split for split in dataset.splits if split not in dealt]
        return [
            describe_parse("Parse Folder", dealt, len(dataset.categories)),
            *(describe_parse("Parse Folder", [split], sum(map(bool, split["per_category"]))) for split in others),
        ]


def _folder(dataset, split: str) -> imagedb.FolderSource | None:
    folder, sent = getattr(dataset, f"folder_{split}"), split == "train" and bool(dataset.archive_train)
    if not folder and not sent:
        return None
    return imagedb.FolderSource(
        dataset.archive if sent else Path(folder),
        *_limits(dataset, split),
        name=dataset.archive_train if sent else folder,
        sent=sent,
    )


def _limits(dataset, split: str) -> tuple[int, int | None]:
    """The minimum and maximum number of images per category in a split's own folder."""
    return getattr(dataset, f"folder_{split}_min_per_class"), getattr(dataset, f"folder_{split}_max_per_class")


def _keep_archive(archive: UploadedFile, path: Path) -> None:
    """Store an uploaded archive in the job's folder. A large one is already a file and is only moved."""
    if isinstance(archive, TemporaryUploadedFile):
        shutil.move(archive.temporary_file_path(), path)
    else:
        path.write_bytes(archive.read())
