"""Fixtures for the admin's pages in a browser: a dataset and a model with hostile names, and a logged-in user."""

import pytest
from django.conf import settings
from django.urls import reverse

from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from models_app.results import Evaluation, Metric
from tests.support.browser import SCREENS, PageErrors, chromium
from tests.support.samples.row_samples import add_snapshot

__all__ = ["chromium"]

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture
def dataset(make_dataset):
    created = make_dataset(name=HOSTILE)
    build_dataset(created.pk)
    Dataset.objects.filter(pk=created.pk).update(warnings=[HOSTILE], notes=HOSTILE)
    created.refresh_from_db()
    return created


@pytest.fixture
def model(dataset, make_model):
    """A running model with a snapshot of random weights, metrics and an evaluation."""
    model = make_model(dataset, name=HOSTILE, train_epochs=10, notes=HOSTILE)
    TrainedModel.objects.filter(pk=model.pk).update(status=Status.RUNNING, progress=0.5, error=HOSTILE)
    (model.directory / "train.log").write_text(HOSTILE)
    for iteration in range(1, 8):
        add_metric(model, "train", iteration)
    for iteration in (3, 6):
        add_metric(model, "val", iteration)
    add_snapshot(model, epoch=3, seed=1)
    figures = {"images": 2, "accuracy": 0.5, "top_5_accuracy": 1, "loss": 1, "calibration_error": 0.1}
    row = {"category": HOSTILE, "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    worst = {"record": 0, "path": HOSTILE, "category": HOSTILE, "answer": HOSTILE, "confidence": 90}
    detail = {"categories": [row], "confusion_matrix": [[2]], "worst_errors": [worst], "status": Status.DONE}
    identity = {"job_id": "20260101-000000-0001", "trained_model": model, "epoch": 3, "split": "val", "name": HOSTILE}
    Evaluation.objects.create(**identity, **figures, **detail)
    model.refresh_from_db()
    return model


def add_metric(model, split, iteration):
    fields = {"loss": 2 / iteration, "accuracy": iteration / 10, "learning_rate": 0.01 / iteration}
    Metric.objects.create(trained_model=model, split=split, iteration=iteration, epoch=iteration, **fields)


@pytest.fixture
def page_errors():
    return PageErrors()


@pytest.fixture
def visit(chromium, live_server, admin_client, page_errors):
    """A function that opens a page of the admin as a logged-in user and returns it."""
    contexts = []

    def visit(path, **screen):
        context = chromium.new_context(**(screen or SCREENS["wide"]))
        contexts.append(context)
        context.set_default_timeout(60_000)
        cookie = admin_client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        page = context.new_page()
        page_errors.listen(page)
        page.goto(live_server.url + path)
        return page

    yield visit
    for context in contexts:
        context.close()


def model_url(name, *args):
    return reverse(f"admin:models_app_trainedmodel_{name}", args=args)
