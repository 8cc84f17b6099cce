"""Operations on datasets: create, build, clean up."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from django.db import transaction

from datasets import imagedb
from datasets.kinds import generic_kind
from datasets.models import Dataset
from digits_project.common.digests import sha256
from digits_project.jobs import directory, quota
from digits_project.jobs.execution.runner import patiently
from digits_project.jobs.models import Status
from digits_project.jobs.services import submit

DIGESTED = (".rec", ".idx", ".npy", ".txt")


@transaction.atomic
def create_dataset(owner: str, files: Mapping | None = None, limited: bool = True, **fields) -> Dataset:
    """Create a dataset, which an io worker then builds. Raises ValidationError or LimitReached, and then saves nothing.

    `files`: the form's files, which the source copies into the job's folder (Source.keep_files). `limited`: whether the
    owner's limits apply.
    """
    dataset = submit(Dataset(owner=owner, **fields), limited)
    try:
        dataset.source.keep_files(dataset, files or {})
    except BaseException:
        directory.remove(dataset.directory)
        raise
    return dataset


def build(dataset: Dataset, report: Callable[[float], None]) -> None:
    """Build the image databases of a running job into its folder, and save the result."""
    _store(dataset, dataset.declared_kind.build(dataset, report), report)


def take_prebuilt(dataset: Dataset, spec: imagedb.PrebuiltSpec, report: Callable[[float], None]) -> None:
    """Copy databases into a generic dataset's folder, and save what they contain. Raises BadInput."""
    built = imagedb.build_prebuilt(spec, dataset.directory, report)
    _store(dataset, generic_kind.columns_of(built), report)


def _store(dataset: Dataset, columns: dict, report: Callable[[float], None]) -> None:
    """Save the result of a build, with the digests of its files."""
    columns = columns | {"digests": digests(dataset.directory, report)}
    for name, value in columns.items():
        setattr(dataset, name, value)
    patiently(partial(dataset.save, update_fields=list(columns)))


def digests(directory: Path, report: Callable[[float], None]) -> dict[str, str]:
    """{name: SHA-256} of the files that a build has just written, which are still in the page cache."""
    built = (path for path in sorted(directory.iterdir()) if path.suffix in DIGESTED)
    return {path.name: sha256(path, lambda: report(1.0)) for path in built}


def after_building(job_id: str) -> None:
    """Remove the files that a Done dataset no longer needs, such as its uploaded archive: it is never built again."""
    dataset = Dataset.objects.filter(pk=job_id, status=Status.DONE).first()
    if dataset:
        dataset.source.drop_files(dataset)
        quota.forget(Dataset.objects.filter(pk=job_id))


def describe_skipped(dataset: Dataset) -> dict:
    """The entries `skipped` and `skipped_reasons` of a dataset's JSON; {} if no file was skipped."""
    if not dataset.skipped:
        return {}
    reasons = sorted(dataset.skipped_reasons.items(), key=lambda item: -item[1])
    return {"skipped": dataset.skipped, "skipped_reasons": dict(reasons)}


def report(dataset: Dataset) -> list[str]:
    """The lines about a built dataset for its user: the warnings and the skipped files."""
    skipped = [imagedb.skipped_in_words(dataset.skipped, dataset.skipped_reasons)] if dataset.skipped else []
    return [*dataset.warnings, *skipped]


def mean_file(dataset: Dataset) -> Path:
    """The mean image of the training split: .npy, float32, C×H×W."""
    return dataset.directory / "mean.npy"
