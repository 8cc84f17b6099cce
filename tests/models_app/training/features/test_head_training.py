"""Trainings of the head on features that are computed once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models_app.training.features import plan
from models_app.training.hyperparameter_declaration import BadHyperparameter
from models_app.training.trainer import train
from tests.support.samples.training_samples import events_of_kind, snapshot_weights, softmax_network

pytestmark = pytest.mark.usefixtures("engine_name")

HEAD = ["ip.bias", "ip.weight"]


def run(config):
    """The events of a training."""
    events = []
    train(config, events.append, lambda: None)
    return events


def last_weights(config):
    return snapshot_weights(Path(config.directory) / "snapshots" / "epoch-2")


def different(one, other):
    """The names of the weights that differ in any bit."""
    return sorted(name for name in one if (one[name] != other[name]).any())


def test_a_head_on_features_gets_the_weights_that_it_gets_in_the_whole_network(head_config):
    on_features, whole = head_config("features"), head_config("whole", feature_views=0)
    run(on_features)
    assert events_of_kind(run(whole), "features") == []
    for name, array in last_weights(whole).items():
        np.testing.assert_allclose(last_weights(on_features)[name], array, rtol=0, atol=1e-5)


def test_a_second_training_reads_the_features_of_the_first(head_config):
    first, second = run(head_config("first")), run(head_config("second", learning_rate=0.01))
    computed = [(event["split"], event["images"], event["computed"]) for event in events_of_kind(first, "features")]
    assert computed == [("train", 40, True), ("val", 22, True)]
    assert [event["computed"] for event in events_of_kind(second, "features")] == [False, False]
    losses = [events_of_kind(events, "metrics", split="val")[-1]["loss"] for events in (first, second)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("settings", [{"aug_whitening": True}, {"label_smoothing": 0.2}])
def test_whitening_and_soft_labels_are_the_same_on_features_as_in_the_whole_network(head_config, settings):
    on_features, whole = head_config("features", **settings), head_config("whole", feature_views=0, **settings)
    assert len(events_of_kind(run(on_features), "features")) == 2
    run(whole)
    plain = head_config("plain")
    run(plain)
    for name, array in last_weights(whole).items():
        np.testing.assert_allclose(last_weights(on_features)[name], array, rtol=0, atol=1e-5)
    assert different(last_weights(plain), last_weights(whole))


def test_without_a_number_of_views_augmented_images_are_computed_in_every_epoch(head_config):
    assert events_of_kind(run(head_config(aug_flip="fliplr")), "features") == []


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"aug_flip": "fliplr", "feature_views": 1}, "the only view of an image is its middle crop, without aug_flip"),
        ({"mixup": 0.2, "feature_views": 3}, "images are mixed in every batch anew"),
        ({"network": softmax_network(), "feature_views": 1}, "below the layers that are trained none has weights"),
    ],
)
def test_a_wish_for_features_that_can_not_be_is_refused_by_name(head_config, fields, message):
    with pytest.raises(BadHyperparameter, match=message) as refused:
        head_config(**fields)
    assert refused.value.field == "feature_views"


def test_features_that_take_too_much_room_are_refused_or_not_kept(head_config, monkeypatch):
    monkeypatch.setattr(plan, "MAX_BYTES", 40 * 288 * 4 - 1)
    assert events_of_kind(run(head_config()), "features") == []
    with pytest.raises(BadHyperparameter, match="the features of 40 images would take"):
        run(head_config(feature_views=1))


def test_a_training_of_the_head_changes_only_the_head(head_config, tmp_path):
    config = head_config(solver_type="ADAM", ema=0.9)
    run(config)
    start = dict(np.load(tmp_path / "sample-0.npz"))
    after = last_weights(config)
    factor = start["norm.factor"]
    for name in ("norm.mean", "norm.variance"):
        np.testing.assert_array_equal(after[name], start[name] / factor)
    assert different(start, after) == sorted([*HEAD, "norm.factor", "norm.mean", "norm.variance"])


def test_a_resumed_training_on_features_ends_with_the_same_bits(head_config, tmp_path):
    whole = head_config("whole", solver_type="ADAM")
    run(whole)
    snapshot = str(tmp_path / "whole" / "snapshots" / "epoch-1")
    rest = replace(whole, directory=str(tmp_path / "rest"), resume_from=snapshot)
    assert [event["computed"] for event in events_of_kind(run(rest), "features")] == [False, False]
    assert different(last_weights(whole), last_weights(rest)) == []
