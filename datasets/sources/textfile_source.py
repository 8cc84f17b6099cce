"""method=textfile: text files that list images and their categories."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import models
from rest_framework import serializers

from datasets import imagedb
from datasets.kinds import CLASSIFICATION
from datasets.sources.source import Source, SourceForm, describe_parse
from datasets.sources.source_fields import FlagOn, ImagesFolder, ServerFile
from digits_project.api.forms import MAX_PATH, Flag
from digits_project.api.uploads import Upload
from digits_project.common.confined_files import open_file

if TYPE_CHECKING:
    from datasets.models import Dataset

MAX_LIST_BYTES = 256 << 20  # of a text file: some four million lines
COPY_BYTES = 1 << 20
LISTS = ("labels", "train", "val", "test")
LOCAL = "textfile_use_local_files"


class TextList(NamedTuple):
    """A text file that a user uploaded or named on the server, and its field of the form."""

    field: str
    file: UploadedFile | Path


def _uploaded() -> Upload:
    text = (
        "Upload: one image on each line, as its path and the number of its category, from 0; or a list for MXNet's "
        "im2rec."
    )
    return Upload(MAX_LIST_BYTES, required=False, help_text=text)


def _local() -> ServerFile:
    return ServerFile(required=False, help_text="The same list as a file of the server, with textfile_use_local_files.")


def _prefix() -> ImagesFolder:
    return ImagesFolder(default="", help_text="Folder of the server for relative paths in the list.")


class TextfileForm(SourceForm):
    textfile_use_local_files = Flag(help_text="Whether the lists are files of the server, not uploads.")
    textfile_use_val = Flag(help_text="Whether there is a list for validation.")
    textfile_use_test = Flag(help_text="Whether there is a list for testing.")
    textfile_train_images = _uploaded()
    textfile_val_images = _uploaded()
    textfile_test_images = _uploaded()
    textfile_labels_file = Upload(
        MAX_LIST_BYTES,
        required=False,
        help_text="Upload: the name of one category on each line; the first line is category 0.",
    )
    textfile_local_train_images = _local()
    textfile_local_val_images = _local()
    textfile_local_test_images = _local()
    textfile_local_labels_file = _local()
    textfile_train_folder = _prefix()
    textfile_val_folder = _prefix()
    textfile_test_folder = _prefix()
    textfile_shuffle = FlagOn(help_text="Whether the images are stored in a random order.")

    def fields_for(self, data, fields):
        """Without the fields of unused lists. A used list is required, as an upload or as a file of the server."""
        used = {"labels", "train", *(split for split in ("val", "test") if _is_set(data, f"textfile_use_{split}"))}
        are_local, left_out = _is_set(data, LOCAL), set()
        for name in LISTS:
            uploaded, local = _list_fields(name)
            wanted, other = (local, uploaded) if are_local else (uploaded, local)
            fields[wanted].required = True
            left_out |= {other} if name in used else {wanted, other, f"textfile_{name}_folder"}
        return {name: field for name, field in fields.items() if name not in left_out}

    def columns(self, values):
        del values[LOCAL]
        lists = {}
        for name in LISTS:
            for field in _list_fields(name):
                if field in values:
                    given = values.pop(field)
                    lists[name] = TextList(field, Path(given) if isinstance(given, str) else given)
        return values | {"files": lists}


class TextfileMethod(Source):
    """A list of images for each split, and a list of the categories' names; the job keeps copies of the lists."""

    name = "textfile"
    label = "text files that list images and their categories"
    description = "lists of images and their categories"
    kind = CLASSIFICATION
    form = TextfileForm
    columns = {
        "textfile_use_val": models.BooleanField(default=False),
        "textfile_use_test": models.BooleanField(default=False),
        "textfile_train_folder": models.CharField(max_length=MAX_PATH, blank=True),
        "textfile_val_folder": models.CharField(max_length=MAX_PATH, blank=True),
        "textfile_test_folder": models.CharField(max_length=MAX_PATH, blank=True),
        "textfile_shuffle": models.BooleanField(default=True),
    }
    paths = ("textfile_train_folder", "textfile_val_folder", "textfile_test_folder")

    def spec(self, dataset):
        used = {"train": True, "val": dataset.textfile_use_val, "test": dataset.textfile_use_test}
        lists: dict[str, Any] = {split: _list_of_split(dataset, split) for split in used if used[split]}
        return imagedb.Spec(
            **lists,
            labels=imagedb.TextSource(_kept(dataset, "labels"), "labels.txt"),
            shuffle=dataset.textfile_shuffle,
            **dataset.image_options(),
        )

    def keep_files(self, dataset, files):
        """Copy the lists into the job's folder and check every line of them."""
        for name, given in files.items():
            _copy(given, _kept(dataset, name))
        spec = self.spec(dataset)
        named = {name: replace(getattr(spec, name), name=given.file.name) for name, given in files.items()}
        if complaints := imagedb.check_lists(replace(spec, **named)):
            raise ValidationError({files[name].field: complaint for name, complaint in complaints.items()})

    def describe_parsed(self, dataset):
        return [describe_parse("Parse Text Files", dataset.splits, len(dataset.categories))]


def _list_of_split(dataset: Dataset, split: str) -> imagedb.TextSource:
    folder = getattr(dataset, f"textfile_{split}_folder")
    return imagedb.TextSource(_kept(dataset, split), f"{split}.txt", Path(folder) if folder else None)


def _kept(dataset: Dataset, name: str) -> Path:
    """The job's copy of a list: labels, train, val or test."""
    return dataset.directory / "lists" / f"{name}.txt"


def _copy(given: TextList, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with _opened(given) as source, path.open("wb") as copy:
        while block := source.read(COPY_BYTES):
            copy.write(block)
            if copy.tell() > MAX_LIST_BYTES:
                raise ValidationError({given.field: f"{given.file.name} is larger than {MAX_LIST_BYTES >> 20} MiB."})


def _opened(given: TextList) -> BinaryIO | UploadedFile:
    if not isinstance(given.file, Path):
        return given.file.open("rb")
    try:
        return open_file(given.file, settings.DIGITS_DATA_ROOTS)
    except OSError as error:
        raise ValidationError({given.field: f"{given.file} can't be read: {error.strerror}."}) from error


def _list_fields(name: str) -> tuple[str, str]:
    """The two fields of a list: for an upload, and for a path of the server."""
    suffix = "labels_file" if name == "labels" else f"{name}_images"
    return f"textfile_{suffix}", f"textfile_local_{suffix}"


def _is_set(data, field: str) -> bool:
    """Whether a flag is posted and true. An invalid value counts as false here; its own field reports it."""
    try:
        return Flag().run_validation(data.get(field, False))
    except serializers.ValidationError:
        return False
