"""What a train worker calls."""

from digits_project.jobs.runner import run
from models_app import services
from models_app.models import TrainedModel


def train_model(job_id: str) -> None:
    run(TrainedModel, job_id, services.train)
