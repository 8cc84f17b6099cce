"""A training that no longer improves: early_stop_patience ends it, the policy `plateau` lowers its learning rate.

A resumed training does the same at the same epoch. A training also ends when somebody asks for it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.training.early_stopping import STOP_FILE, EarlyStopping
from models_app.training.trainer import train
from tests.support.samples.engine_samples import random_weights
from tests.support.samples.training_samples import config_of, dropout_network, events_of_kind, snapshot_weights

pytestmark = pytest.mark.usefixtures("engine_name")

NO_PROGRESS = {"learning_rate": 1e-12, "epochs": 8, "lr_policy": "fixed"}  # every validation has the score of the first


@pytest.fixture
def run_training(dataset, tmp_path):
    """A function that trains without progress and returns the events."""

    def run_training(name="model", **fields):
        events = []
        train(config_of(dataset, tmp_path / name, **(NO_PROGRESS | fields)), events.append, lambda: None)
        return events

    return run_training


def epochs(events, kind, **fields):
    return [event["epoch"] for event in events_of_kind(events, kind, **fields)]


@pytest.mark.parametrize(
    "scores, wait, is_over",
    [([0.5], 0, False), ([0.5, 0.5], 1, False), ([0.5, 0.4, 0.5], 2, True), ([0.5, 0.4, 0.6], 0, False),
     ([-2.0, -1.0, -1.5], 1, False)],
)  # fmt: skip
def test_only_a_better_validation_score_resets_the_wait(scores, wait, is_over):
    early_stopping = EarlyStopping(2)
    for score in scores:
        early_stopping.update(score)
    assert (early_stopping.wait, early_stopping.is_over) == (wait, is_over)


@pytest.mark.parametrize(
    "scores, count, wait",
    [([0.5], 0, 0), ([0.5, 0.5], 0, 1), ([0.5, 0.4, 0.5], 1, 0), ([0.5, 0.4, 0.6, 0.6], 0, 1),
     ([0.5, 0.4, 0.4, 0.3, 0.5], 2, 0), ([-2.0, -1.0, -1.5], 0, 1)],
)  # fmt: skip
def test_a_plateau_is_a_patience_of_validations_without_a_better_score(scores, count, wait):
    early_stopping, plateaus = EarlyStopping(), 0
    for score in scores:
        early_stopping.update(score)
        plateaus += early_stopping.ends_plateau(2)
    assert (plateaus, early_stopping.wait % 2) == (count, wait)


def test_a_training_stops_after_its_patience_of_validations_and_writes_a_snapshot(run_training):
    events = run_training(early_stop_patience=2, snapshot_interval=2)
    assert epochs(events, "metrics", split="val") == [1, 2, 3]
    assert epochs(events, "snapshot") == [2, 3]
    assert events_of_kind(events, "stopped_early") == [
        {"event": "stopped_early", "epoch": 3, "iteration": 12, "validations": 2}
    ]


def test_the_last_snapshot_has_the_epoch_of_the_validation_that_stopped_the_training(run_training):
    events = run_training(early_stop_patience=1, snapshot_interval=0, val_interval=0.75)
    assert epochs(events, "snapshot") == epochs(events, "metrics", split="val")[-1:] == [1.5]


def test_a_training_without_patience_or_within_its_patience_runs_to_its_last_epoch(run_training):
    for patience in (0, 3):
        events = run_training(str(patience), early_stop_patience=patience, epochs=3, snapshot_interval=0)
        assert epochs(events, "metrics", split="val") == [1, 2, 3]
        assert events_of_kind(events, "stopped_early") == []


@pytest.mark.parametrize("resumed_after, remaining", [(1, [2, 3]), (2, [3]), (3, [])])
def test_a_resumed_training_stops_early_at_the_epoch_of_an_uninterrupted_one(
    run_training, tmp_path, resumed_after, remaining
):
    whole = run_training(early_stop_patience=2)
    snapshot = tmp_path / "model" / "snapshots" / f"epoch-{resumed_after}"
    rest = run_training("again", early_stop_patience=2, resume_from=str(snapshot))
    assert epochs(rest, "snapshot") == remaining
    assert events_of_kind(rest, "stopped_early") == events_of_kind(whole, "stopped_early")


PLATEAU = {"lr_policy": "plateau", "lr_plateau_patience": 2, "lr_plateau_gamma": 0.5, "epochs": 6}


def rates(events):
    """{epoch: learning rate with which it was trained}"""
    return {event["epoch"]: event["learning_rate"] for event in events_of_kind(events, "metrics", split="val")}


def test_the_policy_plateau_lowers_the_rate_after_each_plateau_of_the_validation(run_training):
    found = rates(run_training(**PLATEAU))
    assert found == {1: 1e-12, 2: 1e-12, 3: 1e-12, 4: 5e-13, 5: 5e-13, 6: 2.5e-13}


@pytest.mark.parametrize("resumed_after", [2, 3, 4])
def test_a_resumed_training_lowers_its_rate_at_the_epochs_of_an_uninterrupted_one(
    run_training, tmp_path, resumed_after
):
    whole = rates(run_training(**PLATEAU))
    snapshot = tmp_path / "model" / "snapshots" / f"epoch-{resumed_after}"
    rest = rates(run_training("again", **PLATEAU, resume_from=str(snapshot)))
    assert rest == {epoch: rate for epoch, rate in whole.items() if epoch > resumed_after}


def test_the_policy_plateau_is_refused_without_validations(dataset, tmp_path):
    for missing in ({"val_records": None}, {"val_interval": 0}):
        with pytest.raises(BadInput, match="the learning rate policy plateau reads validations, but there are none"):
            config_of(dataset, tmp_path, **PLATEAU, **missing)


ENDLESS = {"epochs": 10_000, "snapshot_interval": 0}


@pytest.fixture
def run_until_stop(tmp_path):
    """A function that trains, asks for the end with the first event of a kind, and returns the events."""

    def run_until_stop(config, kind):
        events = []

        def emit(event):
            events.append(event)
            if event["event"] == kind:
                (Path(config.directory) / STOP_FILE).touch()

        Path(config.directory).mkdir(parents=True, exist_ok=True)
        train(config, emit, lambda: None)
        return events

    return run_until_stop


def ends_of(events):
    """The epochs of the last validation, of the snapshots, and at which the training was stopped."""
    return epochs(events, "metrics", split="val")[-1], epochs(events, "snapshot"), epochs(events, "stopped_early")


def test_a_training_that_is_asked_to_stop_validates_writes_its_snapshot_and_ends(dataset, tmp_path, run_until_stop):
    config = config_of(dataset, tmp_path / "model", **ENDLESS, val_interval=50)
    last, snapshots, [stopped] = ends_of(run_until_stop(config, "metrics"))
    assert snapshots == [last] == [stopped]
    assert stopped < 10_000
    rest = run_until_stop(replace(config, resume_from=str(tmp_path / f"model/snapshots/epoch-{stopped:g}")), "started")
    assert (epochs(rest, "metrics", split="train"), epochs(rest, "stopped_early")) == ([], [stopped])


def test_a_request_before_the_first_step_still_gives_a_snapshot(dataset, tmp_path, run_until_stop):
    events = run_until_stop(config_of(dataset, tmp_path, **ENDLESS), "started")
    assert ends_of(events) == (0.25, [0.25], [0.25])


def test_a_request_while_the_head_is_trained_on_features_ends_the_whole_training(dataset, tmp_path, run_until_stop):
    network = dropout_network()
    np.savez(tmp_path / "start.npz", **random_weights(network))
    fields = {"network": network.to_dict(), "initial_weights": str(tmp_path / "start.npz"), "head_epochs": 9_000}
    events = run_until_stop(config_of(dataset, tmp_path / "model", **ENDLESS, **fields), "metrics")
    last, snapshots, [stopped] = ends_of(events)
    assert snapshots == [last] == [stopped]
    assert stopped < 9_000
    assert len(events_of_kind(events, "features")) == 2
    assert set(snapshot_weights(tmp_path / f"model/snapshots/epoch-{stopped:g}")) == set(random_weights(network))
