"""The engine that a model shows if it was trained before the column engine_used existed."""

from importlib import import_module

import pytest
from django.apps import apps

from models_app.models import TrainedModel
from models_app.results import Metric, Snapshot

pytestmark = pytest.mark.django_db
[NAME_ENGINES] = import_module("models_app.migrations.0013_engine_used").Migration.operations


def add_training(model, engine=""):
    """Add the metric and the snapshot that a training leaves."""
    Metric.objects.create(trained_model=model, split="train", epoch=1, iteration=4, loss=0.5, learning_rate=0.01)
    Snapshot.objects.create(trained_model=model, epoch=1, iteration=4, folder="snapshots/epoch-1")
    TrainedModel.objects.filter(pk=model.pk).update(engine_used=engine)


def engine_on_page(client, model) -> str:
    page = client.get(f"/models/{model.pk}", headers={"accept": "text/html"}).content.decode()
    return page.partition(">Engine</button>")[2].partition("<dd>")[2].partition("</dd>")[0]


def test_models_from_before_the_column_existed_show_the_engine_that_can_have_trained_them(
    admin_client, built_dataset, make_model
):
    old, new, imported, waiting = (make_model(built_dataset) for _ in range(4))
    add_training(old)
    add_training(new, "second 2.0")
    Snapshot.objects.create(trained_model=imported, epoch=1, iteration=4, folder="snapshots/epoch-1")
    assert engine_on_page(admin_client, old) == "auto"
    NAME_ENGINES.code(apps, None)
    shown = [engine_on_page(admin_client, model) for model in (old, new, imported, waiting)]
    assert shown == ["mxnet 1.9.1", "second 2.0", "caffe", "auto"]
