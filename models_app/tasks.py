"""The RQ task that trains a model, run by train workers."""

from functools import partial

from digits_project.jobs.execution.runner import patiently, run
from models_app import evaluations, training_task
from models_app.models import TrainedModel


def train_model(job_id: str) -> None:
    run(TrainedModel, job_id, training_task.train)
    patiently(partial(evaluations.after_training, job_id))
