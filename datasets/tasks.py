"""What an io worker calls."""

from datasets import services
from datasets.models import Dataset
from digits_project.jobs.runner import run


def build_dataset(job_id: str) -> None:
    run(Dataset, job_id, services.build)
