"""Training on several devices at once. The tests use numbered CPUs, which MXNet keeps apart as it does GPUs."""

import numpy as np
import pytest

from models_app.networks import BadNetwork, Layer, standard
from models_app.training.hyperparameters import SOLVERS
from models_app.training.trainer import train
from tests.support.samples.engine_samples import ON_SEVERAL_DEVICES, assert_close, engine_of, random_images
from tests.support.samples.network_samples import network
from tests.support.samples.training_samples import (
    LABELLED_PHASES,
    config_of,
    dropout_network,
    events_of_kind,
    snapshot_weights,
    softmax_network,
    write_digits_dataset,
)

pytestmark = [pytest.mark.usefixtures("engine_name"), ON_SEVERAL_DEVICES]

BATCH = 7
LABELS = np.arange(BATCH, dtype=np.float32) % 10


def trained_engine(sample, devices, steps=3, batches=1, **settings):
    """An engine after `steps` steps, each of `batches` batches of seven images."""
    settings = {"batch_size": BATCH, "batch_accumulation": batches, "weight_decay": 0.0005} | settings
    engine = engine_of(sample, devices=devices, **settings)
    engine.load_weights(sample.initial_weights(1))
    for step in range(steps):
        for batch in range(batches):
            rate = 0.02 if batch + 1 == batches else None
            engine.train_batch(random_images(sample, BATCH, seed=step * batches + batch), LABELS, rate)
    return engine


@pytest.mark.parametrize("solver_type", SOLVERS)
@pytest.mark.parametrize("devices", [("cpu0", "cpu1"), ("cpu0", "cpu1", "cpu2")])
def test_several_devices_train_to_the_weights_of_one_device(devices, solver_type):
    sample = softmax_network()
    several, one = (trained_engine(sample, names, solver_type=solver_type) for names in (devices, ("cpu",)))
    assert_close(several.weights(), one.weights(), sample.initial_weights(1))
    assert several.training_scores().loss == pytest.approx(one.training_scores().loss, rel=1e-4)
    assert several.device == ", ".join(devices)


def test_several_devices_train_lenet_to_the_weights_of_one_device():
    sample = standard("lenet", (1, 28, 28), 10)
    several, one = (trained_engine(sample, names, steps=2) for names in (("cpu0", "cpu1"), ("cpu",)))
    assert_close(several.weights(), one.weights(), sample.initial_weights(1))


def test_several_devices_accumulate_batches_as_one_device_does():
    sample = softmax_network()
    several, one = (trained_engine(sample, names, batches=3) for names in (("cpu0", "cpu1"), ("cpu",)))
    assert_close(several.weights(), one.weights(), sample.initial_weights(1))


def test_newly_loaded_weights_reach_every_device():
    sample = softmax_network()
    engine = trained_engine(sample, ("cpu0", "cpu1"), steps=1)
    engine.load_weights(sample.initial_weights(2))
    engine.load_optimizer_state(engine_of(sample).optimizer_state())
    other = engine_of(sample, batch_size=BATCH, weight_decay=0.0005)
    other.load_weights(sample.initial_weights(2))
    for each in (engine, other):
        each.train_batch(random_images(sample, BATCH), LABELS, 0.02)
    assert_close(engine.weights(), other.weights(), sample.initial_weights(2))


def test_each_device_draws_its_own_dropout_mask():
    """Both halves of the batch hold the same image: with one mask for both, the step would equal that of one half."""
    drop = Layer("drop", "Dropout", ("data",), ("drop",), {"dropout_ratio": 0.5})
    sample = network(
        drop,
        Layer("ip", "InnerProduct", ("drop",), ("ip",), {"num_output": 10}),
        Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=LABELLED_PHASES),
    )
    images = np.repeat(random_images(sample, 1), 2, axis=0)
    weights = []
    for devices, count in ((("cpu0", "cpu1"), 2), (("cpu0",), 1)):
        engine = engine_of(sample, devices=devices, batch_size=count)
        engine.load_weights(sample.initial_weights(1))
        engine.train_batch(images[:count], np.zeros(count, np.float32), 0.01)
        weights.append(engine.weights()["ip.weight"])
    assert np.abs(weights[0] - weights[1]).max() > 0.1 * np.abs(weights[1]).max()


def test_a_training_on_two_devices_learns_and_resumes_to_the_same_bits(tmp_path):
    dataset = write_digits_dataset(tmp_path)
    fields = {"network": dropout_network().to_dict(), "devices": ["cpu0", "cpu1"], "learning_rate": 0.02, "epochs": 4}
    events = []
    whole, rest = (config_of(dataset, tmp_path / name, **fields, **more) for name, more in (
        ("whole", {}), ("rest", {"resume_from": str(tmp_path / "whole/snapshots/epoch-2")})))  # fmt: skip
    for config in (whole, rest):
        train(config, events.append, lambda: None)
    losses = [event["loss"] for event in events_of_kind(events, "metrics", split="val")]
    assert losses[3] < losses[0]
    one, other = (snapshot_weights(tmp_path / name / "snapshots/epoch-4") for name in ("whole", "rest"))
    assert [name for name in one if (one[name] != other[name]).any()] == []


def test_a_loss_that_is_not_averaged_cannot_be_split_over_devices():
    loss = Layer(
        "loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), {"normalization": "NONE"}, phases=LABELLED_PHASES
    )
    sample = network(Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 10}), loss)
    with pytest.raises(BadNetwork, match="layer loss: a loss with normalization NONE"):
        trained_engine(sample, ("cpu0", "cpu1"))
