"""What a job says of the dataset that it needs. Not all who see the job may see the dataset."""

from django.conf import settings
from django.db.models import QuerySet

from datasets.models import Dataset
from digits_project.jobs.models import Job, Status
from digits_project.jobs.visibility import is_visible


def awaited(dataset: Dataset) -> str:
    """What a job waits for that needs the dataset, in words for the current user; "" once it is Done."""
    if dataset.status == Status.DONE:
        return ""
    name = f"dataset {dataset.name}" if is_visible(dataset) else "its dataset"
    return f"{name} ({dataset.status}, {dataset.progress:.0%})"


def lost(jobs: QuerySet) -> list[tuple[Job, str]]:
    """Of these jobs those that wait for a dataset that was aborted or failed, each with the reason."""
    waiting = jobs.filter(status=Status.WAITING, dataset__status__in=(Status.ABORTED, Status.ERROR))
    return [(job, _fate(job.dataset)) for job in waiting.select_related("dataset")]


def _fate(dataset: Dataset) -> str:
    """What happened to the dataset. It is stored with the job, so on a private server it has no name and no error."""
    ended = "was aborted" if dataset.status == Status.ABORTED else "failed"
    if settings.DIGITS_PRIVATE:
        return f"Its dataset ({dataset.pk}) {ended}; the page of the dataset says why."
    reason = f": {dataset.error}" if dataset.error else "."
    return f"Its dataset {dataset.name} ({dataset.pk}) {ended}{reason}"
