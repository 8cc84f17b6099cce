"""Searches, and the rows that trainings of their trials would have written."""

import pytest

from digits_project.jobs import lifecycle
from digits_project.jobs.models import Device, Status
from models_app.models import TrainedModel
from models_app.results import Metric, Snapshot
from models_app.search.search_job import Search
from models_app.tasks import advance_search

CREATE = "/models/images/classification.json"


@pytest.fixture
def post_search(client, open_server, built_dataset):
    """A function that posts a form with ranges, and returns the new search."""

    def post_search(**fields):
        form = {"model_name": "hunt", "dataset": built_dataset.pk, "standard_networks": "lenet", "train_epochs": 2}
        response = client.post(CREATE, form | {"learning_rate": "0.0001..0.1 log", "random_seed": 7} | fields)
        assert response.status_code == 200, response.content
        return Search.objects.get(pk=response.json()["id"])

    return post_search


@pytest.fixture
def devices(db):
    """A function that registers so many devices."""

    def devices(count):
        Device.objects.all().delete()
        Device.objects.bulk_create(Device(host="here", type="gpu", index=index) for index in range(count))

    return devices


@pytest.fixture
def advance():
    """A function that runs the worker's task of a search once, and returns the search afterwards."""

    def advance(search):
        advance_search(search.pk)
        search.refresh_from_db()
        return search

    return advance


@pytest.fixture
def end_trial():
    """A function that ends a trial, and writes the rows of its training: a validation and a snapshot in each epoch."""

    def end_trial(trial, *accuracies, status=Status.DONE, **changes):
        lifecycle.try_advance(trial, Status.RUNNING)
        for epoch, accuracy in enumerate(accuracies, 1):
            measured = {"epoch": epoch, "iteration": epoch, "loss": 1 - accuracy, "accuracy": accuracy}
            Metric.objects.create(trained_model=trial, split="val", learning_rate=0.1, **measured)
            folder = f"snapshots/epoch-{epoch}"
            (trial.directory / folder).mkdir(parents=True)
            Snapshot.objects.create(trained_model=trial, epoch=epoch, iteration=epoch, folder=folder)
        lifecycle.advance(trial, status, **changes)
        return trial

    return end_trial


@pytest.fixture
def trial_of():
    """A function that returns a trial of a search by its number."""
    return lambda search, number: TrainedModel.objects.get(search=search, trial=number)
