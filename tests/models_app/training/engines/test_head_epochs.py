"""head_epochs: a training that trains the head first, then all layers, on every engine."""

from pathlib import Path

import numpy as np
import pytest

from models_app.networks import BadNetwork
from models_app.training.trainer import train
from tests.support.samples.training_samples import (
    config_of,
    dropout_network,
    events_of_kind,
    snapshot_weights,
)

pytestmark = pytest.mark.usefixtures("engine_name")
ADAMW = {"solver_type": "ADAMW", "learning_rate": 0.01, "lr_policy": "cosine", "lr_warmup": 10, "ema": 0.9}


@pytest.fixture(scope="module")
def weights(engine_name, dataset, tmp_path_factory):
    """A snapshot of dropout_network, from which trainings start."""
    folder = tmp_path_factory.mktemp("weights")
    train(config_of(dataset, folder, network=dropout_network().to_dict(), epochs=1), lambda event: None, lambda: None)
    return folder / "snapshots" / "epoch-1"


@pytest.fixture
def run(dataset, weights, tmp_path):
    """A function that trains dropout_network from these weights, and returns the folder of its snapshots and the
    events."""

    def run(name="net", **fields):
        defaults = {"initial_weights": str(weights), "network": dropout_network().to_dict(), "epochs": 3}
        events: list[dict] = []
        train(config_of(dataset, tmp_path / name, **(defaults | fields)), events.append, lambda: None)
        return tmp_path / name / "snapshots", events

    return run


def changed(before: Path, after: Path) -> set[str]:
    """The layers whose weights differ between two snapshots."""
    one, two = snapshot_weights(before), snapshot_weights(after)
    return {name.split(".")[0] for name in one if not np.array_equal(one[name], two[name])}


@pytest.mark.parametrize("settings", [{}, ADAMW], ids=["SGD", "ADAMW"])
def test_the_first_epochs_train_the_head_and_the_others_all_layers(run, weights, settings):
    snapshots, _ = run(head_epochs=2, **settings)
    assert changed(weights, snapshots / "epoch-1") <= {"ip", "norm"}  # norm: its factor is taken out of its averages
    assert changed(snapshots / "epoch-1", snapshots / "epoch-2") == {"ip"}
    assert changed(snapshots / "epoch-2", snapshots / "epoch-3") == {"conv", "norm", "gain", "ip"}


def test_frozen_averages_stay_frozen_after_the_head_epochs(run):
    snapshots, _ = run(head_epochs=2, freeze_batch_norm=True)
    assert changed(snapshots / "epoch-2", snapshots / "epoch-3") == {"conv", "gain", "ip"}


@pytest.mark.parametrize("head_epochs, accumulation", [(1, 1), (1.3, 1), (1.3, 3), (5, 3)])
def test_a_training_resumes_from_every_snapshot_to_the_same_bits(run, head_epochs, accumulation):
    settings = {**ADAMW, "head_epochs": head_epochs, "batch_accumulation": accumulation, "early_stop_patience": 4}
    settings |= {"snapshot_interval": 0.5, "val_interval": 0.5}
    whole, events = run("whole", **settings)
    taken = [event["epoch"] for event in events_of_kind(events, "snapshot")]
    for epoch in taken[:-1]:
        resumed, _ = run(f"from-{epoch}", **settings, resume_from=str(whole / f"epoch-{epoch:g}"))
        one, two = (snapshot_weights(folder / f"epoch-{taken[-1]:g}") for folder in (whole, resumed))
        assert [name for name in one if not np.array_equal(one[name], two[name])] == []


def test_early_stopping_neither_cuts_the_head_epochs_short_nor_counts_them(run):
    # Rates so small that no validation is better than the first.
    _, events = run(head_epochs=4, epochs=9, early_stop_patience=2, learning_rate=1e-30)
    assert events_of_kind(events, "stopped_early")[0]["epoch"] == 6


def test_more_head_epochs_than_epochs_train_the_head_only(run, weights):
    snapshots, _ = run(head_epochs=7, epochs=2)
    assert changed(weights, snapshots / "epoch-2") <= {"ip", "norm"}


def test_a_network_without_a_head_can_not_train_it_first(dataset, tmp_path):
    headless = dropout_network().to_dict()
    headless["layers"] = [layer for layer in headless["layers"] if layer["name"] not in ("loss", "softmax")]
    with pytest.raises(BadNetwork):
        config_of(dataset, tmp_path, network=headless, head_epochs=1)
