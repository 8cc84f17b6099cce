"""The RQ task that evaluates a snapshot, run by io workers."""

from digits_project.jobs.execution.runner import run
from inference import evaluate_split
from models_app.results import Evaluation


def evaluate(job_id: str) -> None:
    run(Evaluation, job_id, evaluate_split.evaluate)
