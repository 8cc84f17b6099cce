"""batch_accumulation: one step of the solver averages the gradients of several batches, like Caffe's iter_size."""

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.networks import Layer, standard
from models_app.training.hyperparameters import SOLVERS
from models_app.training.learning_rate import learning_rate
from models_app.training.snapshots.snapshot_reader import load_arrays
from models_app.training.timetable import Timetable
from models_app.training.trainer import train
from tests.support.samples.engine_samples import assert_close, engine_of, random_images
from tests.support.samples.network_samples import network
from tests.support.samples.training_samples import (
    LABELLED_PHASES,
    config_of,
    events_of_kind,
    snapshot_weights,
    softmax_network,
)

pytestmark = pytest.mark.usefixtures("engine_name")


def trained_engine(network, images, labels, steps, **settings):
    """An engine after these steps. Each step is a list of batches, each batch a slice of the images."""
    engine = engine_of(network, weight_decay=0.0005, **settings)
    engine.load_weights(network.initial_weights(1))
    for batches in steps:
        for number, batch in enumerate(batches, start=1):
            engine.train_batch(images[batch], labels[batch], 0.05 if number == len(batches) else None)
    return engine


@pytest.mark.parametrize("solver_type", SOLVERS)
def test_two_accumulated_batches_of_8_take_the_step_of_one_batch_of_16(solver_type):
    sample = softmax_network()
    images, labels = random_images(sample, 48), np.arange(48, dtype=np.float32) % 10
    halves = [[slice(i, i + 8), slice(i + 8, i + 16)] for i in (0, 16, 32)]
    wholes = [[slice(i, i + 16)] for i in (0, 16, 32)]
    got = trained_engine(sample, images, labels, halves, solver_type=solver_type, batch_size=8, batch_accumulation=2)
    expected = trained_engine(sample, images, labels, wholes, solver_type=solver_type, batch_size=16)
    assert_close(got.weights(), expected.weights(), sample.initial_weights(1))
    assert got.training_scores().loss == pytest.approx(expected.training_scores().loss, rel=1e-4)


def test_gradients_of_convolutions_are_accumulated():
    sample = standard("lenet", (1, 28, 28), 10)
    images, labels = random_images(sample, 16), np.arange(16, dtype=np.float32) % 10
    got = trained_engine(sample, images, labels, [[slice(0, 8), slice(8, 16)]], batch_size=8, batch_accumulation=2)
    expected = trained_engine(sample, images, labels, [[slice(0, 16)]], batch_size=16)
    assert_close(got.weights(), expected.weights(), sample.initial_weights(1))


def test_a_smaller_group_of_batches_is_averaged_over_its_own_size():
    sample = softmax_network()
    images, labels = random_images(sample, 12), np.arange(12, dtype=np.float32) % 10
    groups = [[slice(0, 4), slice(4, 8)], [slice(8, 12)]]
    got = trained_engine(sample, images, labels, groups, batch_accumulation=2)
    first = trained_engine(sample, images, labels, [[slice(0, 8)]], batch_size=8)
    alone = engine_of(sample, weight_decay=0.0005)
    alone.load_weights(first.weights())
    alone.load_optimizer_state(first.optimizer_state())
    alone.train_batch(images[8:], labels[8:], 0.05)
    assert_close(got.weights(), alone.weights(), sample.initial_weights(1))


def test_running_averages_are_updated_with_every_batch_of_a_group():
    sample = network(
        Layer("norm", "BatchNorm", ("data",), ("norm",), {"moving_average_fraction": 0.5}),
        Layer("ip", "InnerProduct", ("norm",), ("ip",), {"num_output": 3, "weight_filler": {"type": "xavier"}}),
        Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=LABELLED_PHASES),
    )
    images = random_images(sample, 8)
    labels = np.arange(8, dtype=np.float32) % 3
    weights = trained_engine(sample, images, labels, [[slice(0, 4), slice(4, 8)]], batch_accumulation=2).weights()
    assert weights["norm.factor"] == pytest.approx(0.75)
    means = [images[batch].mean(axis=(0, 2, 3)) for batch in (slice(0, 4), slice(4, 8))]
    np.testing.assert_allclose(weights["norm.mean"], 0.25 * means[0] + 0.5 * means[1], rtol=1e-4)


@pytest.mark.parametrize("start, groups", [(0, [(0, 3), (3, 6), (6, 8)]), (6, [(6, 8)]), (8, [])])
def test_the_last_group_of_a_training_takes_the_remaining_batches(start, groups):
    assert list(Timetable(epochs=2, per_epoch=4, accumulation=3).groups(start)) == groups


def test_a_training_with_accumulated_batches_equals_one_with_larger_batches(dataset, tmp_path):
    groups = config_of(dataset, tmp_path / "groups", batch_size=5, batch_accumulation=4, lr_policy="poly")
    whole = config_of(dataset, tmp_path / "whole", batch_size=20, lr_policy="poly")
    for config in (groups, whole):
        train(config, lambda event: None, lambda: None)
    last = "snapshots/epoch-2"
    assert_close(*(snapshot_weights(tmp_path / name / last) for name in ("groups", "whole")),
                 whole.build_network().initial_weights(1))  # fmt: skip
    assert load_arrays(tmp_path / "groups" / last / "optimizer.npz")["steps"] == 4


def test_metrics_and_snapshots_come_once_for_each_group_of_batches(dataset, tmp_path):
    events = []
    config = config_of(dataset, tmp_path, batch_accumulation=3, lr_policy="poly", snapshot_interval=0.5)
    train(config, events.append, lambda: None)
    metrics = events_of_kind(events, "metrics", split="train")
    assert [event["learning_rate"] for event in metrics] == [learning_rate(config, p) for p in (0, 37.5, 75)]
    assert [event["epoch"] for event in events_of_kind(events, "snapshot")] == [0.5, 1.5, 2]


def test_a_training_resumes_only_with_the_batch_accumulation_of_its_snapshot(dataset, tmp_path):
    config = config_of(dataset, tmp_path, batch_accumulation=2, snapshot_interval=1)
    train(config, lambda event: None, lambda: None)
    other = config_of(dataset, tmp_path, batch_accumulation=4, resume_from=str(tmp_path / "snapshots/epoch-1"))
    with pytest.raises(BadInput, match="the snapshot was trained with batch_accumulation 2, not 4"):
        train(other, lambda event: None, lambda: None)
