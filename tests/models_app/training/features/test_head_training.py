"""Trainings of the head on features that are computed once."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasets.imagedb.store.payloads import encode
from datasets.imagedb.store.records import RecordWriter
from models_app.networks import BadNetwork, Layer, Multipliers, Network
from models_app.training.features import plan
from models_app.training.hyperparameter_declaration import BadHyperparameter
from models_app.training.trainer import train
from tests.models_app.networks.test_onnx_layers import onnx_outputs
from tests.support.samples.engine_samples import random_weights
from tests.support.samples.imagedb_samples import digits
from tests.support.samples.network_samples import DATA
from tests.support.samples.training_samples import (
    LABELLED_PHASES,
    TRAIN_IMAGES,
    VAL_IMAGES,
    config_of,
    dropout_network,
    events_of_kind,
    run_trainer,
    snapshot_weights,
    softmax_network,
    start_trainer,
)

pytestmark = pytest.mark.usefixtures("engine_name")

HEAD = ["ip.bias", "ip.weight"]
FIXED = Multipliers(0, 0)


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


def test_model_onnx_is_the_whole_network_with_the_scores_of_the_head(head_config):
    config = head_config(network=wide_network())
    measured = events_of_kind(run(config), "metrics", split="val")[-1]
    model = Path(config.directory) / "snapshots" / "epoch-2" / "model.onnx"
    images, labels = (array[TRAIN_IMAGES : TRAIN_IMAGES + VAL_IMAGES] for array in digits())
    scores = onnx_outputs(model, images[:, np.newaxis])["softmax"]
    loss = -np.log(scores[np.arange(VAL_IMAGES), labels]).mean()
    assert loss == pytest.approx(measured["loss"], abs=1e-4)
    assert (scores.argmax(axis=1) == labels).mean() == pytest.approx(measured["accuracy"])


def wide_network():
    """dropout_network() without dropout, so that losses depend on the head's weights alone."""
    whole = dropout_network()
    return replace(whole, layers=tuple(layer for layer in whole.layers if layer.type != "Dropout"))


def test_a_killed_training_on_features_ends_with_the_same_bits(head_config, tmp_path):
    whole = head_config("whole", epochs=40, solver_type="ADAM", threads=2)
    run(whole)
    killed = replace(whole, directory=str(tmp_path / "killed"), epochs=40)
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "config.json").write_text(killed.to_json())
    process = start_trainer(tmp_path / "killed" / "config.json")
    while '"snapshot"' not in (line := process.stdout.readline()):
        assert line
    process.kill()
    process.communicate(timeout=30)
    snapshots = sorted((tmp_path / "killed" / "snapshots").glob("epoch-*"), key=lambda path: path.stat().st_mtime_ns)
    resumed = replace(killed, resume_from=str(snapshots[-1]))
    status, events, log = run_trainer(resumed)
    assert status == 0, log
    assert [event["computed"] for event in events_of_kind(events, "features")] == [False, False]
    one, other = (snapshot_weights(tmp_path / name / "snapshots" / "epoch-40") for name in ("whole", "killed"))
    assert different(one, other) == []


def test_trainings_that_begin_together_compute_the_features_once(head_config):
    configs = [head_config(name) for name in ("first", "second")]
    processes = []
    for config in configs:
        Path(config.directory).mkdir()
        path = Path(config.directory) / "config.json"
        path.write_text(config.to_json())
        processes.append(start_trainer(path))
    outputs = [process.communicate(timeout=100)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    events = [json.loads(line) for output in outputs for line in output.splitlines()]
    for split in ("train", "val"):
        computed = [event["computed"] for event in events_of_kind(events, "features", split=split)]
        assert sorted(computed) == [False, True]
    assert different(*map(last_weights, configs)) == []


def test_a_network_that_predicts_numbers_is_trained_on_features(tmp_path):
    """The labels are two numbers an image, which the file of features holds too."""
    images = digits()[0]
    for name, part in (("train", images[:TRAIN_IMAGES]), ("val", images[TRAIN_IMAGES : TRAIN_IMAGES + VAL_IMAGES])):
        with RecordWriter(tmp_path / f"{name}.rec") as writer:
            for image in part:
                writer.write(
                    np.array([image[:4].mean(), image[4:].mean()]) / 255, encode(image[..., np.newaxis], "png")
                )
    layers = (
        DATA,
        Layer("scale", "Power", ("data",), ("scaled",), {"scale": 1 / 255}),
        Layer("body", "InnerProduct", ("scaled",), ("body",), {"num_output": 20}, (FIXED, FIXED)),
        Layer("ip", "InnerProduct", ("body",), ("ip",), {"num_output": 2}),
        Layer("softmax", "Softmax", ("ip",), ("softmax",), phases=("deploy",)),
        Layer("loss", "EuclideanLoss", ("ip", "label"), ("loss",), phases=LABELLED_PHASES),
    )
    network = Network("numbers", (1, 8, 8), layers, (2, 1, 1))
    np.savez(tmp_path / "start.npz", **random_weights(network))
    fields = {
        "network": network.to_dict(), "labels_file": None, "use_mean": "none", "train_layers": "head", "epochs": 5,
        "initial_weights": str(tmp_path / "start.npz"), "learning_rate": 0.001,
    }  # fmt: skip
    on_features = run(config_of(tmp_path, tmp_path / "features", **fields))
    whole = run(config_of(tmp_path, tmp_path / "whole", feature_views=0, **fields))
    assert [event["computed"] for event in events_of_kind(on_features, "features")] == [True, True]
    expected, found = (
        [event["loss"] for event in events_of_kind(events, "metrics", split="val")] for events in (whole, on_features)
    )
    assert found == pytest.approx(expected, rel=1e-3)


def test_a_head_that_is_fixed_can_not_be_trained(head_config):
    network = dropout_network()
    layers = tuple(
        replace(layer, multipliers=(FIXED, FIXED)) if layer.name == "ip" else layer for layer in network.layers
    )
    with pytest.raises(BadNetwork, match="every weight is fixed"):
        head_config(network=replace(network, layers=layers))
