"""early_stop_patience: a training that learns no more ends, in order, and where it would have ended without a loss."""

import pytest

from models_app.training.early_stopping import EarlyStopping
from models_app.training.trainer import train
from tests.support.samples.training_samples import config_of, of_kind, write_digits_dataset

pytestmark = pytest.mark.usefixtures("engine_name")

TOO_LITTLE = {"learning_rate": 1e-12, "epochs": 8, "lr_policy": "fixed"}  # every validation is like the first


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_digits_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture
def events_of(dataset, tmp_path):
    def events_of(name="model", **fields):
        events = []
        train(config_of(dataset, tmp_path / name, **(TOO_LITTLE | fields)), events.append, lambda: None)
        return events

    return events_of


def epochs(events, kind, **fields):
    return [event["epoch"] for event in of_kind(events, kind, **fields)]


@pytest.mark.parametrize(
    "scores, wait, is_over",
    [([0.5], 0, False), ([0.5, 0.5], 1, False), ([0.5, 0.4, 0.5], 2, True), ([0.5, 0.4, 0.6], 0, False),
     ([-2.0, -1.0, -1.5], 1, False)],
)  # fmt: skip
def test_only_a_better_validation_begins_the_count_again(scores, wait, is_over):
    early_stopping = EarlyStopping(2)
    for score in scores:
        early_stopping.update(score)
    assert (early_stopping.wait, early_stopping.is_over) == (wait, is_over)


def test_a_training_ends_after_so_many_validations_with_a_last_snapshot(events_of):
    events = events_of(early_stop_patience=2, snapshot_interval=2)
    assert epochs(events, "metrics", split="val") == [1, 2, 3]
    assert epochs(events, "snapshot") == [2, 3]
    assert of_kind(events, "stopped_early") == [
        {"event": "stopped_early", "epoch": 3, "iteration": 12, "validations": 2}
    ]


def test_the_last_snapshot_has_the_epoch_of_the_validation_that_ended_it(events_of):
    events = events_of(early_stop_patience=1, snapshot_interval=0, val_interval=0.75)
    assert epochs(events, "snapshot") == epochs(events, "metrics", split="val")[-1:] == [1.5]


def test_without_patience_or_while_it_lasts_a_training_goes_to_its_end(events_of):
    for patience in (0, 3):
        events = events_of(str(patience), early_stop_patience=patience, epochs=3, snapshot_interval=0)
        assert epochs(events, "metrics", split="val") == [1, 2, 3]
        assert of_kind(events, "stopped_early") == []


@pytest.mark.parametrize("lost_after, left", [(1, [2, 3]), (2, [3]), (3, [])])
def test_a_training_that_goes_on_ends_where_it_would_have_ended(events_of, tmp_path, lost_after, left):
    whole = events_of(early_stop_patience=2)
    snapshot = tmp_path / "model" / "snapshots" / f"epoch-{lost_after}"
    rest = events_of("again", early_stop_patience=2, resume_from=str(snapshot))
    assert epochs(rest, "snapshot") == left
    assert of_kind(rest, "stopped_early") == of_kind(whole, "stopped_early")
