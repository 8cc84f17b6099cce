"""The RQ task that builds a dataset, run by io workers."""

from functools import partial

from datasets import services
from datasets.models import Dataset
from digits_project.jobs.execution.runner import patiently, run


def build_dataset(job_id: str) -> None:
    run(Dataset, job_id, services.build)
    patiently(partial(services.after_building, job_id))
