"""What a train worker calls."""

from functools import partial

from digits_project.jobs.runner import patiently, run
from models_app import evaluations, services
from models_app.models import TrainedModel


def train_model(job_id: str) -> None:
    run(TrainedModel, job_id, services.train)
    patiently(partial(evaluations.after_training, job_id))
