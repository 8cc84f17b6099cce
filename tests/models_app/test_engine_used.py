"""The engine that a model shows if it was trained before the column engine_used existed."""

import pytest

from models_app.models import TrainedModel
from models_app.results import Metric, Snapshot
from tests.support.samples.single_migrations import migrate_from

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow(2)]


def add_training(model, engine=""):
    """Add the metric and the snapshot that a training leaves; return the model."""
    Metric.objects.create(trained_model=model, split="train", epoch=1, iteration=4, loss=0.5, learning_rate=0.01)
    Snapshot.objects.create(trained_model=model, epoch=1, iteration=4, folder="snapshots/epoch-1")
    TrainedModel.objects.filter(pk=model.pk).update(engine_used=engine)
    return model


def engine_on_page(client, model) -> str:
    page = client.get(f"/models/{model.pk}", headers={"accept": "text/html"}).content.decode()
    return page.partition("<th>Engine</th><td>")[2].partition("</td>")[0]


def test_a_model_that_was_trained_before_the_column_existed_shows_mxnet(admin_client, built_dataset, make_model):
    old, new = add_training(make_model(built_dataset)), add_training(make_model(built_dataset), "second 2.0")
    assert engine_on_page(admin_client, old) == "auto"
    migrate_from("models_app", "0012_kinds")
    assert engine_on_page(admin_client, old) == "mxnet 1.9.1"
    assert engine_on_page(admin_client, new) == "second 2.0"


def test_a_model_that_was_imported_before_the_column_existed_shows_caffe(admin_client, built_dataset, make_model):
    model = make_model(built_dataset)
    Snapshot.objects.create(trained_model=model, epoch=1, iteration=4, folder="snapshots/epoch-1")
    migrate_from("models_app", "0012_kinds")
    assert engine_on_page(admin_client, model) == "caffe"


def test_a_model_that_is_not_yet_trained_shows_its_chosen_engine(admin_client, built_dataset, make_model):
    model = make_model(built_dataset)
    migrate_from("models_app", "0012_kinds")
    assert engine_on_page(admin_client, model) == "auto"
