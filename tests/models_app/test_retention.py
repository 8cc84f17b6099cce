"""keep_snapshots: older snapshots go, rows and folders, and never one that somebody needs."""

import numpy as np
import pytest

from digits_project.jobs.models import Device, Status
from inference import services as inference
from models_app.evaluations import evaluate
from models_app.models import TrainedModel
from models_app.pruning import Rule, prune
from models_app.results import Metric, Snapshot
from models_app.tasks import train_model
from tests.support.samples.row_samples import add_snapshot

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(built_dataset, make_model):
    """A model with snapshots of the epochs 1 to 6, of which the second was the best."""
    model = make_model(built_dataset)
    for epoch in range(1, 7):
        folder = f"snapshots/epoch-{epoch}"
        (model.directory / folder).mkdir(parents=True)
        (model.directory / folder / "model.onnx").touch()
        Snapshot.objects.create(trained_model=model, epoch=epoch, folder=folder)
        measured = {"accuracy": 0.9 if epoch == 2 else 0.5, "loss": 1, "learning_rate": 0.01}
        Metric.objects.create(trained_model=model, split="val", epoch=epoch, **measured)
    return model


def left(model):
    """The epochs of the snapshots that are there; rows and folders agree."""
    epochs = list(model.snapshots.order_by("epoch").values_list("epoch", flat=True))
    assert {path.name for path in (model.directory / "snapshots").iterdir()} == {f"epoch-{e:g}" for e in epochs}
    return epochs


@pytest.mark.parametrize("newest, stay", [(1, [2, 6]), (3, [2, 4, 5, 6]), (0, [2, 6]), (9, [1, 2, 3, 4, 5, 6])])
def test_the_newest_and_the_best_stay(model, newest, stay):
    gone = prune(model, Rule(newest=newest))
    assert left(model) == stay
    assert sorted([*stay, *(snapshot.epoch for snapshot in gone)]) == [1, 2, 3, 4, 5, 6]


def test_one_that_is_marked_stays(model):
    model.snapshots.filter(epoch=3).update(keep=True)
    prune(model, Rule())
    assert left(model) == [2, 3, 6]


def test_one_that_a_waiting_job_reads_stays_until_it_has_ended(model, make_model):
    network = {"method": "previous", "standard_network": "", "previous": model}
    successor = make_model(model.dataset, **network, previous_epoch=1)
    evaluation = evaluate(model, "val", 3)
    by_path = make_model(model.dataset)
    weights = model.snapshot_at(4).directory / "weights.npz"
    TrainedModel.objects.filter(pk=by_path.pk).update(custom_network_snapshot=str(weights))
    prune(model, Rule())
    assert left(model) == [1, 2, 3, 4, 6]
    for job in (successor, by_path, evaluation):
        type(job).objects.filter(pk=job.pk).update(status=Status.ABORTED)
    assert [snapshot.epoch for snapshot in prune(model, Rule())] == [1, 3, 4]


def test_who_has_a_snapshot_open_goes_on_with_it_and_who_comes_late_is_told(built_dataset, make_model):
    model = make_model(built_dataset)
    early, late, _ = (add_snapshot(model, epoch, seed=epoch) for epoch in (1, 2, 3))
    images = np.zeros((1, 28, 28, 1), np.uint8)
    before = inference.predictor(early).scores(images)
    opened = inference.predictor(early)
    prune(model, Rule())
    assert np.array_equal(opened.scores(images), before)
    with pytest.raises(inference.BadInput, match="The snapshot of epoch 2 was deleted just now"):
        inference.predictor(late)


def test_a_training_keeps_so_many(built_dataset, make_model, cpu):
    model = make_model(built_dataset, batch_size=16, snapshot_interval=0.25, keep_snapshots=2)
    Device.objects.update(leased_to=model.pk)
    train_model(model.pk)
    model.refresh_from_db()
    assert model.status == Status.DONE
    assert left(model) == [0.75, 1]
