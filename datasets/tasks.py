"""The RQ tasks that build a dataset and make its report, run by io workers."""

from functools import partial

from datasets import reports, services
from datasets.models import Dataset, DatasetReport
from digits_project.jobs.execution.runner import patiently, run


def build_dataset(job_id: str) -> None:
    run(Dataset, job_id, services.build)
    patiently(partial(services.after_building, job_id))
    patiently(partial(reports.after_building, job_id))


def make_report(job_id: str) -> None:
    run(DatasetReport, job_id, reports.make)
