"""What happens when in a training."""

import pytest

from models_app.training.early_stopping import Diverged
from models_app.training.schedule import learning_rate
from models_app.training.trainer import train
from tests.support.samples.training_samples import config_of, of_kind, write_digits_dataset

pytestmark = pytest.mark.usefixtures("engine_name")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_digits_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture
def events_of(dataset, tmp_path):
    """The best epoch and the events of a training: epochs of four batches."""

    def events_of(**fields):
        events = []
        best = train(config_of(dataset, tmp_path, **fields), events.append, lambda: None)
        return best, events

    return events_of


def epochs(events, kind, **fields):
    return [event["epoch"] for event in of_kind(events, kind, **fields)]


@pytest.mark.parametrize(
    "interval, snapshots, validations",
    [(1, [1, 2], [1, 2]), (0.5, [0.5, 1, 1.5, 2], [0.5, 1, 1.5, 2]), (0.75, [0.75, 1.5, 2], [0.75, 1.5, 2]),
     (0, [2], []), (5, [2], [2])],
)  # fmt: skip
def test_snapshots_and_validations_come_at_their_intervals(events_of, interval, snapshots, validations):
    _, events = events_of(snapshot_interval=interval, val_interval=interval)
    assert epochs(events, "snapshot") == snapshots
    assert epochs(events, "metrics", split="val") == validations


def test_a_training_of_part_of_an_epoch_ends_with_a_snapshot(events_of):
    assert epochs(events_of(epochs=0.5)[1], "snapshot") == [0.5]


def test_the_best_epoch_is_the_first_snapshot_of_the_highest_accuracy(events_of):
    best, events = events_of(epochs=4)
    accuracy = {event["epoch"]: event["accuracy"] for event in of_kind(events, "metrics", split="val")}
    assert best == max(accuracy, key=accuracy.get)
    assert len(set(accuracy.values())) > 1


def test_without_validation_no_epoch_is_the_best(events_of):
    best, events = events_of(val_records=None)
    assert best is None
    assert epochs(events, "metrics", split="val") == []


def test_an_epoch_is_measured_before_its_snapshot(events_of):
    _, events = events_of()
    kept = [event for kind in ("metrics", "snapshot") for event in of_kind(events, kind, epoch=1)]
    told = [(event["event"], event.get("split")) for event in events if event in kept]
    assert told == [("metrics", "train"), ("metrics", "val"), ("snapshot", None)]
    assert events[0]["event"] == "started"


def test_the_rate_of_the_events_follows_the_schedule(events_of, dataset, tmp_path):
    _, events = events_of(lr_policy="poly")
    policy = config_of(dataset, tmp_path, lr_policy="poly")
    trained = of_kind(events, "metrics", split="train")
    assert [event["learning_rate"] for event in trained] == [learning_rate(policy, 100 * i / 8) for i in range(8)]


def test_a_loss_that_is_no_number_ends_the_training(events_of, tmp_path):
    with pytest.raises(Diverged, match="Try decreasing your learning rate"):
        events_of(learning_rate=1e30)
    assert list(tmp_path.glob("snapshots/*")) == []
