"""What may be done with datasets."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.db import transaction

from datasets import imagedb
from datasets.models import Dataset, DatasetKind, SourceMethod
from digits_project.common.confined_files import open_file, shown
from digits_project.common.digests import sha256
from digits_project.jobs import directory, limits, quota
from digits_project.jobs.execution.runner import patiently
from digits_project.jobs.models import Status
from digits_project.jobs.services import submit

MAX_LIST_BYTES = 256 << 20  # of a text file: some four million lines
COPY_BYTES = 1 << 20
MAX_NAME = 255
DIGESTED = (".rec", ".idx", ".npy", ".txt")


class TextList(NamedTuple):
    """A text file that a user sent, or named on the server, and the form's field for it."""

    field: str
    file: UploadedFile | Path


@transaction.atomic
def create_dataset(
    owner: str, lists: dict[str, TextList] | None = None, archive: UploadedFile | None = None, **fields
) -> Dataset:
    """Record the request and let dispatch queue it. Raises ValidationError or LimitReached, nothing saved.

    `lists` are the text files for method=textfile: labels, train and, where used, val and test. `archive` is a packed
    folder_train. The job keeps copies.
    """
    name = shown(archive.name)[:MAX_NAME] if archive else ""
    dataset = submit(Dataset(owner=owner, archive_train=name, **fields))
    try:
        if lists:
            _keep(dataset, lists)
        if archive:
            _keep_archive(dataset, archive)
            limits.refuse_more_disk(owner)
    except BaseException:
        directory.remove(dataset.directory)
        raise
    return dataset


def _keep_archive(dataset: Dataset, archive: UploadedFile) -> None:
    """Into the job's folder; a large one lies on a disk already and is only moved."""
    if isinstance(archive, TemporaryUploadedFile):
        shutil.move(archive.temporary_file_path(), dataset.archive)
    else:
        dataset.archive.write_bytes(archive.read())


def _keep(dataset: Dataset, lists: dict[str, TextList]) -> None:
    """Copy the text files into the job's folder and check every line of them. Raises ValidationError."""
    for name, given in lists.items():
        _copy(given, dataset.text_list(name))
    spec = dataset.spec()
    named = {name: replace(getattr(spec, name), name=given.file.name) for name, given in lists.items()}
    if complaints := imagedb.check_lists(replace(spec, **named)):
        raise ValidationError({lists[name].field: complaint for name, complaint in complaints.items()})


def _copy(given: TextList, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with _opened(given) as source, path.open("wb") as copy:
        while block := source.read(COPY_BYTES):
            copy.write(block)
            if copy.tell() > MAX_LIST_BYTES:
                raise ValidationError({given.field: f"{given.file.name} is larger than {MAX_LIST_BYTES >> 20} MiB."})


def _opened(given: TextList) -> BinaryIO:
    if not isinstance(given.file, Path):
        return given.file.open("rb")
    try:
        return open_file(given.file, settings.DIGITS_DATA_ROOTS)
    except OSError as error:
        raise ValidationError({given.field: f"{given.file} can't be read: {error.strerror}."}) from error


def build(dataset: Dataset, report) -> None:
    """Build the image databases of a running job into its folder, and store what came of it."""
    if dataset.kind == DatasetKind.GENERIC:
        take_prebuilt(dataset, dataset.prebuilt_spec(), report)
    else:
        _build_categories(dataset, report)


def take_prebuilt(dataset: Dataset, spec: imagedb.PrebuiltSpec, report) -> None:
    """Take databases into a generic dataset's folder, and store what they hold. Raises BadInput."""
    built = imagedb.build_prebuilt(spec, dataset.directory, report)
    dataset.resize_channels, dataset.resize_height, dataset.resize_width = built.image_shape
    dataset.label_shape = built.label_shape
    dataset.splits = [{"name": name, "entries": count} for name, count in built.entries.items()]
    dataset.warnings = built.warnings
    dataset.digests = digests(dataset.directory, report)
    shape = ["resize_channels", "resize_height", "resize_width"]
    patiently(partial(dataset.save, update_fields=[*shape, "label_shape", "splits", "warnings", "digests"]))


def _build_categories(dataset: Dataset, report) -> None:
    built = imagedb.build(dataset.spec(), dataset.directory, report)
    dataset.categories = built.categories
    dataset.splits = [
        asdict(split) | ({"in_train": True} if split.name in built.found else {}) for split in built.splits
    ]
    dataset.copies = built.copies
    dataset.skipped, dataset.skipped_reasons = built.skipped, built.skipped_reasons
    dataset.warnings = built.warnings
    dataset.white_level = built.white_level
    dataset.digests = digests(dataset.directory, report)
    came = ["categories", "splits", "copies", "skipped", "skipped_reasons", "warnings", "white_level", "digests"]
    patiently(partial(dataset.save, update_fields=came))


def digests(directory: Path, report: Callable[[float], None]) -> dict[str, str]:
    """{name: SHA-256} of the files that a build has just written, which are still in the memory of the disk's cache."""
    built = (path for path in sorted(directory.iterdir()) if path.suffix in DIGESTED)
    return {path.name: sha256(path, lambda: report(1.0)) for path in built}


def after_building(job_id: str) -> None:
    """A dataset that is Done is never built again, so that the archive that was sent for it may go."""
    dataset = Dataset.objects.filter(pk=job_id, status=Status.DONE).first()
    if dataset:
        dataset.archive.unlink(missing_ok=True)
        quota.forget(Dataset.objects.filter(pk=job_id))


def describe_tasks(dataset: Dataset) -> dict:
    """DIGITS's lists of tasks, as far as they are done."""
    if dataset.kind == DatasetKind.GENERIC:
        return {"AnalyzeDbTasks": [_describe_taken(dataset, split) for split in dataset.splits]}
    image = _describe_image(dataset)
    return {
        "ParseFolderTasks": _describe_parsed(dataset) if dataset.splits else [],
        "CreateDbTasks": [
            {"name": f"Create DB ({split['name']})", "entries": split["entries"], **image, "encoding": dataset.encoding}
            for split in dataset.splits
        ],
    }


def _describe_parsed(dataset: Dataset) -> list[dict]:
    """What was found in the training folder, with the shares taken from it, then in each folder of a split's own; text
    files are one task together."""
    if dataset.method == SourceMethod.TEXTFILE:
        return [_describe_parse("Parse Text Files", dataset.splits, len(dataset.categories))]
    own = {"val": dataset.folder_val, "test": dataset.folder_test}
    dealt = [split for split in dataset.splits if not (own.get(split["name"]) or split.get("in_train"))]
    return [
        _describe_parse("Parse Folder", dealt, len(dataset.categories)),
        *(
            _describe_parse("Parse Folder", [split], sum(map(bool, split["per_category"])))
            for split in dataset.splits
            if split not in dealt
        ),
    ]


def _describe_parse(task: str, splits: list[dict], label_count: int) -> dict:
    counts = {split["name"]: split["entries"] for split in splits}
    return {
        "name": f"{task} ({'/'.join(counts)})",
        "label_count": label_count,
        **{f"{name}_count": counts.get(name, 0) for name in ("train", "val", "test")},
    }


def _describe_taken(dataset: Dataset, split: dict) -> dict:
    return {"name": f"Analyze DB ({split['name']})", "image_count": split["entries"], **_describe_image(dataset)}


def _describe_image(dataset: Dataset) -> dict:
    width, height = dataset.resize_width, dataset.resize_height
    return {"image_width": width, "image_height": height, "image_channels": dataset.resize_channels}


def describe_skipped(dataset: Dataset) -> dict:
    """How many files of the folders and lists are in no database, and why; nothing if there are none."""
    if not dataset.skipped:
        return {}
    reasons = sorted(dataset.skipped_reasons.items(), key=lambda item: -item[1])
    return {"skipped": dataset.skipped, "skipped_reasons": dict(reasons)}


def report(dataset: Dataset) -> list[str]:
    """What people should know of a dataset that was built: its warnings, and what was skipped."""
    skipped = [imagedb.skipped_in_words(dataset.skipped, dataset.skipped_reasons)] if dataset.skipped else []
    return [*dataset.warnings, *skipped]


def mean_file(dataset: Dataset) -> Path:
    """The mean image of the training split: .npy, float32, C×H×W."""
    return dataset.directory / "mean.npy"
