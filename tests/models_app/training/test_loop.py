"""The training loop: when it validates, writes snapshots and ends, and which epoch is the best."""

import pytest

from models_app.training.early_stopping import Diverged
from models_app.training.learning_rate import learning_rate
from models_app.training.trainer import train
from tests.support.samples.training_samples import config_of, events_of_kind

pytestmark = pytest.mark.usefixtures("engine_name")


@pytest.fixture
def run_training(dataset, tmp_path):
    """A function that trains in epochs of four batches and returns the best epoch and the events."""

    def run_training(**fields):
        events = []
        best = train(config_of(dataset, tmp_path, **fields), events.append, lambda: None)
        return best, events

    return run_training


def epochs(events, kind, **fields):
    return [event["epoch"] for event in events_of_kind(events, kind, **fields)]


@pytest.mark.parametrize(
    "interval, snapshots, validations",
    [(1, [1, 2], [1, 2]), (0.5, [0.5, 1, 1.5, 2], [0.5, 1, 1.5, 2]), (0.75, [0.75, 1.5, 2], [0.75, 1.5, 2]),
     (0, [2], []), (5, [2], [2])],
)  # fmt: skip
def test_snapshots_and_validations_come_at_their_intervals(run_training, interval, snapshots, validations):
    _, events = run_training(snapshot_interval=interval, val_interval=interval)
    assert epochs(events, "snapshot") == snapshots
    assert epochs(events, "metrics", split="val") == validations


def test_a_training_of_part_of_an_epoch_ends_with_a_snapshot(run_training):
    assert epochs(run_training(epochs=0.5)[1], "snapshot") == [0.5]


def test_the_best_epoch_is_the_first_snapshot_of_the_highest_accuracy(run_training):
    best, events = run_training(epochs=4)
    accuracy = {event["epoch"]: event["accuracy"] for event in events_of_kind(events, "metrics", split="val")}
    assert best == max(accuracy, key=accuracy.get)
    assert len(set(accuracy.values())) > 1


def test_a_training_without_validation_has_no_best_epoch(run_training):
    best, events = run_training(val_records=None)
    assert best is None
    assert epochs(events, "metrics", split="val") == []


def test_an_epoch_reports_its_metrics_before_its_snapshot(run_training):
    _, events = run_training()
    kept = [event for kind in ("metrics", "snapshot") for event in events_of_kind(events, kind, epoch=1)]
    order = [(event["event"], event.get("split")) for event in events if event in kept]
    assert order == [("metrics", "train"), ("metrics", "val"), ("snapshot", None)]
    assert events[0]["event"] == "started"


def test_the_learning_rate_in_the_events_follows_its_policy(run_training, dataset, tmp_path):
    _, events = run_training(lr_policy="poly")
    policy = config_of(dataset, tmp_path, lr_policy="poly")
    trained = events_of_kind(events, "metrics", split="train")
    assert [event["learning_rate"] for event in trained] == [learning_rate(policy, 100 * i / 8) for i in range(8)]


def test_a_loss_that_is_not_a_number_ends_the_training(run_training, tmp_path):
    with pytest.raises(Diverged, match="Try decreasing your learning rate"):
        run_training(learning_rate=1e30)
    assert list(tmp_path.glob("snapshots/*")) == []
