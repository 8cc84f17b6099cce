"""Starts, makes and reads the reports on datasets."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from datasets.models import Dataset, DatasetReport
from datasets.report.findings import KINDS, MAX_KEPT, read_findings
from datasets.report.making import FORMAT, ReportRequest, make_report
from digits_project.accounts import audit
from digits_project.accounts.viewer import without_paths
from digits_project.common.errors import Aborted, DamagedFile, Gone, IllegalTransition
from digits_project.common.escaping import END, csv_line
from digits_project.jobs import quota, services
from digits_project.jobs.execution.runner import Unfinished, patiently
from digits_project.jobs.models import Status, job_classes

AUTO = "auto"  # DIGITS_DATASET_REPORTS: a report after each build
MAX_OF_NAME = 200
ATTEMPTS = 3  # of a report, of which all but the last give way to other jobs
START_SECONDS = 30  # after a build; later nobody waits for its report to start
LOOK_SECONDS = 2.0  # how often a report looks whether another job waits
CSV_COLUMNS = (
    *("kind", "finding", "split", "record", "category", "path"),
    *("conflict", "leak", "value", "likelier", "probability", "of_label"),
)
A_PAGE = 24  # findings of a kind on a page, and in a response


class CanNotReport(Exception):
    """The dataset has no images to report on yet; the text says why."""


def start(dataset: Dataset, owner: str = "", limited: bool = True) -> DatasetReport:
    """Start the report on a dataset.

    One that exists is returned, and resumed if it failed or was aborted. One of an earlier version is made again.
    Raises CanNotReport, LimitReached (if `limited`), or Gone.
    """
    if reason := reason_against(dataset):
        raise CanNotReport(reason)
    with transaction.atomic():
        if not Dataset.objects.select_for_update(no_key=True).filter(pk=dataset.pk).exists():
            raise Gone
        report = find(dataset)
        if report is None:
            name = f"{dataset.name[:MAX_OF_NAME]}, report"
            return services.submit(DatasetReport(owner=owner, name=name, dataset=dataset), limited)
    if report.status in (Status.ABORTED, Status.ERROR):
        with suppress(IllegalTransition):  # another process resumed it at the same time
            services.resume(report)
    elif is_outdated(report):
        services.delete(report)
        return start(dataset, owner, limited)
    return report


def reason_against(dataset: Dataset) -> str:
    """A message: the reason why there can be no report yet; "" if there can."""
    if dataset.status == Status.DONE:
        return ""
    return f"{dataset.name} is {dataset.status}; a report needs the images of a dataset that is Done."


def missing(dataset: Dataset) -> str:
    """A message: the reason why there is no report, or how to request it."""
    reason = reason_against(dataset)
    return reason or f"There is no report on {dataset.name} yet; send a POST to this address to make one."


def find(dataset: Dataset) -> DatasetReport | None:
    """The report on a dataset; None if there is none."""
    return DatasetReport.objects.filter(dataset=dataset).first()


def is_outdated(report: DatasetReport) -> bool:
    """Whether an earlier version of the server made it, which looked at the images otherwise."""
    return report.status == Status.DONE and report.summary.get("format") != FORMAT


def after_building(job_id: str) -> None:
    """Start the report on a dataset that was built, unless the server makes reports only on demand."""
    dataset = Dataset.objects.filter(pk=job_id, status=Status.DONE).first()
    if dataset is None or settings.DIGITS_DATASET_REPORTS != AUTO or not dataset.source.has_report:
        return
    with audit.acting(lambda: audit.Actor("the build")), suppress(Gone):
        start(dataset, owner=dataset.owner, limited=False)


def is_expected(dataset: Dataset) -> bool:
    """Whether the worker that has just built the dataset will start its report in a moment."""
    if settings.DIGITS_DATASET_REPORTS != AUTO or dataset.status != Status.DONE or dataset.ended_at is None:
        return False
    return timezone.now() - dataset.ended_at < timedelta(seconds=START_SECONDS)


def make(report: DatasetReport, progress: Callable[[float], None]) -> None:
    """Make the report of a running job. Raises BadInput or DamagedFile if the records can't be read, and Aborted if the
    dataset was deleted."""
    dataset = report.dataset
    request = ReportRequest(
        directory=dataset.directory,
        splits=[split["name"] for split in dataset.splits],
        categories=dataset.category_names if dataset.declared_kind.has_categories else [],
        shape=(dataset.resize_height, dataset.resize_width),
    )
    try:
        dataset.report_directory.mkdir(exist_ok=True)
        report.summary = make_report(request, dataset.report_directory, _GivesWay(report, progress))
    except (FileNotFoundError, DamagedFile):
        if not dataset.directory.is_dir():
            raise Aborted("The dataset was deleted.") from None
        raise
    patiently(partial(report.save, update_fields=["summary"]))
    patiently(partial(quota.forget, Dataset.objects.filter(pk=dataset.pk)))  # its folder has grown


class _GivesWay:
    """Reports progress, and ends the attempt when a dataset or an evaluation waits for the worker: people wait for
    those. The next attempt begins anew, so the last of a few gives way no more."""

    def __init__(self, report: DatasetReport, progress: Callable[[float], None]) -> None:
        self._progress = progress
        self._attempts = sum(status == Status.RUNNING for status, *_ in report.status_history)
        self._looked = time.monotonic()
        self._saw_one = False

    def __call__(self, fraction: float) -> None:
        self._progress(fraction)
        if self._attempts < ATTEMPTS and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            others = [one for one in job_classes() if one.QUEUE == DatasetReport.QUEUE and one is not DatasetReport]
            waits = any(one.ready().exists() for one in others)
            if waits and self._saw_one:  # a free worker would have taken it meanwhile
                raise Unfinished(0.0)
            self._saw_one = waits


def findings(report: DatasetReport, kind: str, page: int = 1, size: int = A_PAGE) -> list[dict[str, Any]]:
    """A page of the findings of a kind, the worst first, with the names of categories, and paths as the user may see
    them."""
    dataset = report.dataset
    names = dataset.category_names
    rows = read_findings(dataset.report_directory, kind, (page - 1) * size, size)
    for row in rows:
        if "likelier" in row:
            row["likelier"] = names[row["likelier"]]
        for image in row["images"]:
            image["category"] = names[image["category"]] if names else ""
            image["path"] = without_paths(image["path"])
    return rows


def pages(report: DatasetReport, kind: str) -> int:
    """How many pages the findings of a kind have, at least 1."""
    kept = min(report.summary.get("counts", {}).get(kind, 0), MAX_KEPT)
    return max(1, -(-kept // A_PAGE))


def kinds_found(report: DatasetReport) -> list[str]:
    """The kinds of which there are findings."""
    counts = report.summary.get("counts", {})
    return [kind for kind in KINDS if counts.get(kind)]


def csv_lines(report: DatasetReport) -> Iterator[str]:
    """The findings as CSV: a line for each image of each finding."""
    yield csv_line(CSV_COLUMNS) + END
    for kind in kinds_found(report):
        for number, finding in enumerate(findings(report, kind, size=MAX_KEPT), 1):
            for image in finding["images"]:
                row = {**finding, **image, "kind": kind, "finding": number}
                yield csv_line(row.get(name, "") for name in CSV_COLUMNS) + END
