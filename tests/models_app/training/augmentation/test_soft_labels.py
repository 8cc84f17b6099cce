"""Labels that are shares of categories: their loss and gradient, and the networks that take them; whitening."""

from dataclasses import replace

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.networks import Layer, standard
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.soft_labels import soft_label_width, soft_labels
from models_app.training.engines.interface import NO_LABEL
from models_app.training.hyperparameter_declaration import BadHyperparameter
from models_app.training.trainer import train
from tests.support.samples.augmentation_samples import EVERYTHING
from tests.support.samples.engine_samples import ON_SEVERAL_DEVICES, engine_of, random_images
from tests.support.samples.network_samples import network
from tests.support.samples.training_samples import (
    LABELLED_PHASES,
    config_of,
    dropout_network,
    events_of_kind,
    run_trainer,
    snapshot_weights,
    softmax_network,
)

pytestmark = pytest.mark.usefixtures("engine_name")

XAVIER = {"weight_filler": {"type": "xavier"}}


def regression():
    """A network whose labels are two numbers."""
    ip = Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 2, **XAVIER})
    loss = Layer("loss", "EuclideanLoss", ("ip", "label"), ("loss",), phases=LABELLED_PHASES)
    return replace(network(ip, loss), label_shape=(2,))


def shares(count, categories, seed=0):
    drawn = np.random.default_rng(seed).random((count, categories)).astype(np.float32)
    return drawn / drawn.sum(axis=1, keepdims=True)


def linear_scores(weights, images):
    """The scores of a softmax_network()."""
    rows = images.reshape(len(images), -1).astype(np.float64) * 0.01
    return rows, rows @ weights["ip.weight"].T.astype(np.float64) + weights["ip.bias"]


@pytest.mark.parametrize("category_weights", [None, (1.0, 2.0, 0.5, 3.0)])
def test_loss_and_gradient_with_soft_labels_are_those_of_numpy(category_weights):
    sample, rate = softmax_network(4), 0.1
    engine = engine_of(
        sample, batch_size=6, momentum=0.0, weight_decay=0.0, label_smoothing=0.1, category_weights=category_weights
    )
    weights = sample.initial_weights(1)
    engine.load_weights(weights)
    images, labels = random_images(sample, 6), shares(6, 4)
    engine.train_batch(images, labels, rate)
    rows, scores = linear_scores(weights, images)
    predicted = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    weighted = labels * (np.ones(4) if category_weights is None else np.array(category_weights))
    gradient = (predicted * weighted.sum(axis=1, keepdims=True) - weighted) / 6
    moved = {name: (weights[name] - array) / rate for name, array in engine.weights().items()}
    np.testing.assert_allclose(moved["ip.weight"], gradient.T @ rows, rtol=1e-3, atol=1e-5)
    reported = engine.training_scores()
    assert reported.loss == pytest.approx(-(labels * np.log(predicted)).sum(axis=1).mean(), rel=1e-5)
    assert reported.accuracy == pytest.approx((scores.argmax(axis=1) == labels.argmax(axis=1)).mean())


@pytest.mark.parametrize(
    "settings", [{}, {"batch_accumulation": 2}, pytest.param({"devices": ("cpu0", "cpu1")}, marks=ON_SEVERAL_DEVICES)]
)
def test_soft_labels_of_one_category_train_like_category_numbers(settings):
    sample, trained = softmax_network(), []
    images, labels = random_images(sample, 6), np.array([0, 3, 9, 1, 3, 3], np.float32)
    for smoothing, given in ((0.0, labels), (1e-9, np.eye(10, dtype=np.float32)[labels.astype(int)])):
        engine = engine_of(sample, batch_size=6, label_smoothing=smoothing, **settings)
        engine.load_weights(sample.initial_weights(1))
        for rate in (None, 0.1, None, 0.1):
            engine.train_batch(images, given, rate)
        trained.append((engine.weights(), engine.training_scores()))
    (hard, hard_scores), (soft, soft_scores) = trained
    np.testing.assert_allclose(soft["ip.weight"], hard["ip.weight"], rtol=1e-4, atol=1e-6)
    assert soft_scores.loss == pytest.approx(hard_scores.loss, rel=1e-5)
    assert soft_scores.accuracy == hard_scores.accuracy


def test_validation_keeps_category_numbers_and_the_plain_loss():
    sample = softmax_network()
    images, labels = random_images(sample, 6), np.array([0, 3, 9, NO_LABEL, 3, 3], np.float32)
    scores = []
    for smoothing in (0.0, 0.3):
        engine = engine_of(sample, batch_size=6, label_smoothing=smoothing)
        engine.load_weights(sample.initial_weights(1))
        engine.evaluate_batch(images, labels)
        scores.append(engine.evaluation_scores())
    assert scores[0] == scores[1]


def test_every_loss_of_a_network_takes_soft_labels():
    loss = {"bottoms": ("ip", "label"), "phases": LABELLED_PHASES}
    sample = network(
        Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 3, **XAVIER}),
        Layer("first", "SoftmaxWithLoss", tops=("first",), parameters={"loss_weight": 0.3}, **loss),
        Layer("second", "SoftmaxWithLoss", tops=("second",), **loss),
    )
    engine = engine_of(sample, batch_size=4, mixup=0.5)
    engine.load_weights(sample.initial_weights(1))
    engine.train_batch(random_images(sample, 4), shares(4, 3), None)
    scores = engine.training_scores()
    assert scores.outputs["first"] == scores.outputs["second"]
    assert scores.loss == pytest.approx(1.3 * scores.outputs["first"], rel=1e-6)


def test_soft_labels_leave_categories_that_the_dataset_lacks_at_zero():
    labels = soft_labels(np.array([1.0]), width=5, known=3, smoothing=0.3)
    np.testing.assert_allclose(labels, [[0.1, 0.8, 0.1, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize("name", ["mixup", "cutmix", "label_smoothing"])
def test_labels_that_are_no_categories_cannot_be_mixed(name):
    sample = regression()
    with pytest.raises(BadHyperparameter, match=f"{name} needs a SoftmaxWithLoss of categories") as refused:
        soft_label_width(Augmentation(**{name: 0.5}), sample)
    assert refused.value.field == name


def test_a_layer_that_reads_category_numbers_cannot_get_soft_labels():
    ignoring = {"ignore_label": 3}
    sample = network(
        Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 4, **XAVIER}),
        Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), ignoring, phases=LABELLED_PHASES),
    )
    with pytest.raises(BadHyperparameter, match="mixup mixes labels, which layer loss can't read"):
        soft_label_width(Augmentation(mixup=0.5), sample)


@pytest.mark.parametrize("name", ["googlenet", "resnet18", "lenet", "efficientnet_lite0"])
def test_standard_networks_can_be_trained_with_soft_labels(name):
    assert soft_label_width(Augmentation(cutmix=1.0), standard(name, (3, 224, 224), 7)) == 7


def test_whitening_is_a_part_of_the_network_in_training_and_answers():
    sample = softmax_network()
    images = random_images(sample, 4)
    images[0] = 7  # one colour
    engine = engine_of(sample, batch_size=4, aug_whitening=True)
    weights = sample.initial_weights(1)
    engine.load_weights(weights)
    rows = images.reshape(4, -1).astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.maximum(rows.std(axis=1, keepdims=True), 1 / 8)
    scores = rows * 0.01 @ weights["ip.weight"].T + weights["ip.bias"]
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(engine.forward(images)["softmax"], expected, atol=1e-5)


@pytest.mark.parametrize("use_mean", ["none", "image", "pixel"])
def test_a_training_with_everything_on_reports_and_its_snapshot_gives_the_same_answers(dataset, tmp_path, use_mean):
    events = []
    settings = EVERYTHING | {"category_weights": [1.0, 2.0] * 5, "use_mean": use_mean}
    train(config_of(dataset, tmp_path, **settings), events.append, lambda: None)
    snapshots = events_of_kind(events, "snapshot")
    assert len(snapshots) == 2
    assert all(snapshot["max_difference"] < 1e-4 for snapshot in snapshots)
    assert len(events_of_kind(events, "metrics", split="train")) == 8


def test_a_resumed_training_with_everything_on_ends_with_the_same_bits(dataset, tmp_path):
    settings = EVERYTHING | {"network": dropout_network().to_dict(), "epochs": 3, "threads": 2}
    whole = config_of(dataset, tmp_path / "whole", snapshot_interval=0.75, **settings)
    status, _, log = run_trainer(whole)
    assert status == 0, log
    first = tmp_path / "whole" / "snapshots" / "epoch-0.75"
    resumed = replace(whole, directory=str(tmp_path / "resumed"), resume_from=str(first))
    status, _, log = run_trainer(resumed)
    assert status == 0, log
    last = [snapshot_weights(tmp_path / run / "snapshots" / "epoch-3") for run in ("whole", "resumed")]
    assert all(np.array_equal(last[0][name], last[1][name]) for name in last[0])


def test_a_generic_training_refuses_to_mix(dataset, tmp_path):
    sample = regression()
    with pytest.raises(BadInput, match="mixup needs"):
        config_of(dataset, tmp_path, network=sample.to_dict(), mixup=0.2, labels_file=None)
