"""keep_snapshots: pruning deletes rows and folders of older snapshots, unless a job or a user needs them."""

import numpy as np
import pytest

from digits_project.jobs.models import Status
from inference import services as inference
from models_app.evaluations import evaluate
from models_app.models import TrainedModel
from models_app.pruning import Rule, after_snapshot, after_training, prune
from models_app.results import Metric, Snapshot
from models_app.training.snapshots.snapshot_reader import is_whole
from tests.support.samples.row_samples import add_snapshot

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(built_dataset, make_model):
    """A model with snapshots of the epochs 1 to 6; the one of epoch 2 is the best."""
    model = make_model(built_dataset)
    for epoch in range(1, 7):
        add_row(model, epoch, accuracy=0.9 if epoch == 2 else 0.5)
    return model


def add_row(model, epoch, accuracy=0.5):
    """A snapshot without content, and its validation."""
    folder = f"snapshots/epoch-{epoch}"
    (model.directory / folder).mkdir(parents=True)
    (model.directory / folder / "model.onnx").touch()
    Snapshot.objects.create(trained_model=model, epoch=epoch, iteration=round(100 * epoch), folder=folder)
    measured = {"accuracy": accuracy, "loss": 1, "learning_rate": 0.01}
    Metric.objects.create(trained_model=model, split="val", epoch=epoch, **measured)


def remaining_epochs(model):
    """The epochs of the remaining snapshots; asserts that rows and folders agree."""
    epochs = list(model.snapshots.order_by("epoch").values_list("epoch", flat=True))
    assert {path.name for path in (model.directory / "snapshots").iterdir()} == {f"epoch-{e:g}" for e in epochs}
    return epochs


@pytest.mark.parametrize("newest, kept", [(1, [2, 6]), (3, [2, 4, 5, 6]), (0, [2, 6]), (9, [1, 2, 3, 4, 5, 6])])
def test_pruning_keeps_the_newest_snapshots_and_the_best(model, newest, kept):
    pruned = prune(model, Rule(newest=newest))
    assert remaining_epochs(model) == kept
    assert sorted([*kept, *(snapshot.epoch for snapshot in pruned)]) == [1, 2, 3, 4, 5, 6]


def test_pruning_keeps_a_marked_snapshot(model):
    model.snapshots.filter(epoch=3).update(keep=True)
    prune(model, Rule())
    assert remaining_epochs(model) == [2, 3, 6]


def test_pruning_keeps_a_snapshot_until_the_waiting_job_that_needs_it_has_ended(model, make_model):
    network = {"method": "previous", "standard_network": "", "previous": model}
    successor = make_model(model.dataset, **network, previous_epoch=1)
    evaluation = evaluate(model, "val", 3)
    by_path = make_model(model.dataset)
    weights = model.snapshot_at(4).directory / "weights.npz"
    TrainedModel.objects.filter(pk=by_path.pk).update(custom_network_snapshot=str(weights))
    prune(model, Rule())
    assert remaining_epochs(model) == [1, 2, 3, 4, 6]
    for job in (successor, by_path, evaluation):
        type(job).objects.filter(pk=job.pk).update(status=Status.ABORTED)
    assert [snapshot.epoch for snapshot in prune(model, Rule())] == [1, 3, 4]


def test_a_loaded_snapshot_stays_usable_after_pruning_and_another_is_reported_as_deleted(built_dataset, make_model):
    model = make_model(built_dataset)
    early, late, _ = (add_snapshot(model, epoch, seed=epoch) for epoch in (1, 2, 3))
    images = np.zeros((1, 28, 28, 1), np.uint8)
    before = inference.predictor(early).scores(images)
    opened = inference.predictor(early)
    prune(model, Rule())
    assert np.array_equal(opened.scores(images), before)
    with pytest.raises(inference.BadInput, match="The snapshot of epoch 2 was deleted just now"):
        inference.predictor(late)


def test_a_training_keeps_the_number_of_snapshots_of_keep_snapshots(built_dataset, make_model, run_training_task):
    model = make_model(built_dataset, batch_size=16, snapshot_interval=0.25, keep_snapshots=2)
    run_training_task(model)
    assert model.status == Status.DONE
    assert remaining_epochs(model) == [0.75, 1]


def optimizer_states(model):
    """The epochs of the snapshots that have the optimizer's state."""
    return [s.epoch for s in model.snapshots.order_by("epoch") if (s.directory / "optimizer.npz").exists()]


def test_a_training_keeps_the_optimizer_state_of_its_newest_snapshot_only(built_dataset, make_model, run_training_task):
    model = make_model(built_dataset, batch_size=16, snapshot_interval=0.25)
    run_training_task(model)
    assert model.status == Status.DONE
    assert remaining_epochs(model) == [0.25, 0.5, 0.75, 1]
    assert optimizer_states(model) == [1]
    assert all(is_whole(snapshot.directory) for snapshot in model.snapshots.all())


def test_an_unfinished_training_keeps_the_optimizer_state_of_two_snapshots(model):
    for snapshot in model.snapshots.all():
        (snapshot.directory / "optimizer.npz").touch()
    TrainedModel.objects.filter(pk=model.pk).update(keep_snapshots=0)
    model.refresh_from_db()
    after_snapshot(model)
    assert (remaining_epochs(model), optimizer_states(model)) == ([1, 2, 3, 4, 5, 6], [5, 6])
    after_training(model)
    assert (remaining_epochs(model), optimizer_states(model)) == ([1, 2, 3, 4, 5, 6], [6])


@pytest.mark.parametrize(
    "fields, every, at_most",
    [
        ({"train_epochs": 1}, 1, 1), ({"train_epochs": 12}, 1, 12), ({"train_epochs": 30}, 3, 12),
        ({"train_epochs": 30, "snapshot_interval": 0.5}, 6, 12), ({"train_epochs": 1000}, 100, 12),
        ({"train_epochs": 30, "snapshot_interval": 0}, 1, 1), ({"train_epochs": 25}, 2, 14),
        ({"train_epochs": 30, "keep_snapshots": 0}, 3, 30), ({"train_epochs": 30, "keep_snapshots": 4}, 3, 5),
    ],
)  # fmt: skip
def test_about_ten_snapshots_are_kept_of_a_training(fields, every, at_most):
    model = TrainedModel(**fields)
    assert (model.kept_every, model.snapshots_to_keep) == (every, at_most)


def test_a_training_of_thirty_snapshots_keeps_every_third_the_newest_two_and_the_best(built_dataset, make_model):
    model = make_model(built_dataset, train_epochs=30)
    left = {}
    for epoch in range(1, 31):
        add_row(model, epoch, accuracy=0.9 if epoch == 2 else 0.5)
        after_snapshot(model)
        left[epoch] = remaining_epochs(model)
    assert left[7] == [2, 3, 6, 7]
    assert left[29] == [2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29]
    after_training(model)
    assert remaining_epochs(model) == [2, *range(3, 31, 3)]


def test_a_deleted_snapshot_is_named_as_deleted_and_another_epoch_as_never_there(built_dataset, make_model):
    model = make_model(built_dataset, train_epochs=30, snapshot_interval=0.5)
    for epoch in (0.5, 1, 2):
        add_row(model, epoch)
    there = "its epochs are: 0.5, 1, 2."
    assert model.no_snapshot_at(1.5) == (
        f"The snapshot of lenet at epoch 1.5 was deleted (keep_snapshots says which are kept); {there}"
    )
    for epoch in (0.25, 2.5, 0):
        assert model.no_snapshot_at(epoch) == f"lenet has no snapshot of epoch {epoch:g}; {there}"
