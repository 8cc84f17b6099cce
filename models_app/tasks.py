"""The RQ tasks of models: train workers run trainings, io workers searches."""

from functools import partial

from digits_project.jobs.execution.runner import patiently, run
from models_app import evaluations, searches, training_task
from models_app.models import TrainedModel
from models_app.search.search_job import Search
from models_app.several_hosts import host_ranks


def train_model(job_id: str) -> None:
    run(TrainedModel, job_id, training_task.train)
    patiently(partial(evaluations.after_training, job_id))
    patiently(partial(searches.after_trial, job_id))


def join_training(job_id: str, attempt: int) -> None:
    host_ranks.join(job_id, attempt)


def advance_search(job_id: str) -> None:
    run(Search, job_id, searches.advance)
