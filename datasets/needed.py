"""What a job says of the dataset that it needs. On a private server whoever sees the job may not see the dataset."""

from django.conf import settings

from datasets.models import Dataset
from digits_project.jobs.models import Status
from digits_project.jobs.visibility import is_visible


def awaited(dataset: Dataset) -> str:
    """What the job waits for, to the current user; "" once the dataset is Done."""
    if dataset.status == Status.DONE:
        return ""
    name = f"dataset {dataset.name}" if is_visible(dataset) else "its dataset"
    return f"{name} ({dataset.status}, {dataset.progress:.0%})"


def fate(dataset: Dataset) -> str:
    """What happened to a dataset that was aborted or failed, to store with the job."""
    ended = "was aborted" if dataset.status == Status.ABORTED else "failed"
    if settings.DIGITS_PRIVATE:
        return f"Its dataset ({dataset.pk}) {ended}; the page of the dataset says why."
    reason = f": {dataset.error}" if dataset.error else "."
    return f"Its dataset {dataset.name} ({dataset.pk}) {ended}{reason}"
