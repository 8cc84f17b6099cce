"""What an io worker calls."""

from digits_project.jobs.runner import run
from inference import evaluating
from models_app.results import Evaluation


def evaluate(job_id: str) -> None:
    run(Evaluation, job_id, evaluating.evaluate)
