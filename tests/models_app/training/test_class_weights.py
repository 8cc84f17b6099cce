"""Category weights: training multiplies the loss of each image by the weight of its category; validation does not."""

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.networks import Layer
from models_app.training.class_weights import balanced
from models_app.training.trainer import train
from tests.support.samples.engine_samples import ON_SEVERAL_DEVICES, engine_of, random_images
from tests.support.samples.imagedb_samples import digits
from tests.support.samples.network_samples import network
from tests.support.samples.training_samples import (
    LABELLED_PHASES,
    config_of,
    softmax_network,
    write_digits_dataset,
    write_records,
)

pytestmark = pytest.mark.usefixtures("engine_name")

MANY, FEW = 80, 4


def train_steps(network, labels, weights, count=3, **settings):
    """The weights of a network before and after `count` steps on one batch, and the scores of the training."""
    engine = engine_of(network, category_weights=weights, momentum=0.0, batch_size=len(labels), **settings)
    before = network.initial_weights(1)
    engine.load_weights(before)
    images = random_images(network, len(labels))
    for _ in range(count):
        engine.train_batch(images, np.array(labels, np.float32), 0.01)
    return before, engine.weights(), engine.training_scores()


def test_balanced_weights_of_all_images_add_up_to_the_number_of_images():
    counts = (60, 30, 0, 10)
    weights = balanced(counts)
    assert weights == pytest.approx((100 / 180, 100 / 90, 0, 100 / 30))
    assert sum(w * n for w, n in zip(weights, counts, strict=True)) == pytest.approx(100)


@pytest.mark.parametrize(
    "settings", [{}, {"batch_accumulation": 2}, pytest.param({"devices": ("cpu0", "cpu1")}, marks=ON_SEVERAL_DEVICES)]
)
def test_category_weights_of_one_train_to_the_same_bits_as_no_weights(settings):
    sample = softmax_network()
    _, without, _ = train_steps(sample, [0, 3, 9, 1, 3, 3], None, **settings)
    before, ones, _ = train_steps(sample, [0, 3, 9, 1, 3, 3], (1.0,) * 10, **settings)
    assert all(np.array_equal(without[name], ones[name]) for name in without)
    assert not np.array_equal(before["ip.weight"], ones["ip.weight"])


def test_the_gradient_is_scaled_by_the_category_weight_and_the_reported_loss_is_not():
    sample = softmax_network()
    before, plain, reported = train_steps(sample, [3, 3, 3, 3], None, count=1)
    _, weighted, reported_weighted = train_steps(sample, [3, 3, 3, 3], (1.0, 1, 1, 2.5) + (1.0,) * 6, count=1)
    moved, moved_weighted = (after["ip.weight"] - before["ip.weight"] for after in (plain, weighted))
    np.testing.assert_allclose(moved_weighted, 2.5 * moved, rtol=1e-4, atol=1e-7)
    assert reported_weighted == reported


def test_every_loss_of_a_network_is_weighted_by_category():
    loss = {"bottoms": ("ip", "label"), "phases": LABELLED_PHASES}
    sample = network(
        Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 3, "weight_filler": {"type": "xavier"}}),
        Layer("first", "SoftmaxWithLoss", tops=("first",), parameters={"loss_weight": 0.3}, **loss),
        Layer("second", "SoftmaxWithLoss", tops=("second",), **loss),
    )
    before, plain, _ = train_steps(sample, [1, 1], None, count=1)
    _, weighted, _ = train_steps(sample, [1, 1], (1.0, 3.0, 1.0), count=1)
    moved, moved_weighted = (after["ip.bias"] - before["ip.bias"] for after in (plain, weighted))
    np.testing.assert_allclose(moved_weighted, 3 * moved, rtol=1e-4)


def test_balanced_category_weights_raise_the_recall_of_a_rare_category(tmp_path):
    images, labels = digits()
    threes, eights = (images[labels == digit][..., np.newaxis] for digit in (3, 8))
    write_records(tmp_path / "train.rec", np.concatenate([threes[:MANY], eights[:FEW]]), [0] * MANY + [1] * FEW)
    write_records(tmp_path / "val.rec", eights[FEW : FEW + 60], [1] * 60)
    (tmp_path / "labels.txt").write_text("three\neight\n")
    recall = {}
    for weights in (None, balanced((MANY, FEW))):
        events = []
        fields = {"use_mean": "none", "batch_size": 12, "epochs": 1, "learning_rate": 0.01}
        directory = tmp_path / ("weighted" if weights else "plain")
        sample = softmax_network(categories=2).to_dict()
        config = config_of(tmp_path, directory, network=sample, category_weights=weights, **fields)
        train(config, events.append, lambda: None)
        [recall[bool(weights)]] = [event["accuracy"] for event in events if event.get("split") == "val"]
    assert recall[True] > recall[False] + 0.2


@pytest.mark.parametrize(
    "weights, message",
    [([1.0] * 9, "there are 9 category_weights for 10 categories"), ([1.0, -1.0], "must be a list of numbers from 0"),
     ("heavy", "must be a list of numbers from 0")],
)  # fmt: skip
def test_invalid_category_weights_are_refused(tmp_path, weights, message):
    write_digits_dataset(tmp_path)
    with pytest.raises(BadInput, match=message):
        train(config_of(tmp_path, tmp_path / "model", category_weights=weights), lambda event: None, lambda: None)
