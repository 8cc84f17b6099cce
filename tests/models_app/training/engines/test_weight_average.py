"""`ema`: validation and snapshots use the moving average of the weights, the training goes on from its own."""

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.networks import Layer, Multipliers
from models_app.training.engines.interface import averaging_decay
from tests.support.samples.engine_samples import engine_of, random_images
from tests.support.samples.network_samples import network

pytestmark = pytest.mark.usefixtures("engine_name")

BATCH, CATEGORIES, STEPS, DECAY = 4, 6, 12, 0.5
LABELS = np.array([0, 1, 2, 3], np.float32)
NETWORK = network(
    Layer("scaled", "Power", ("data",), ("scaled",), {"scale": 0.01}),
    Layer("norm", "BatchNorm", ("scaled",), ("norm",), {"moving_average_fraction": 0.9}),
    Layer("gain", "Scale", ("norm",), ("gain",), {"bias_term": True}, (Multipliers(0), Multipliers(0))),
    Layer("ip", "InnerProduct", ("gain",), ("ip",), {"num_output": CATEGORIES, "weight_filler": {"type": "xavier"}}),
    Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=("train", "val")),
    input_shape=(2, 5, 5),
)
IMAGES = [random_images(NETWORK, BATCH, seed) for seed in range(STEPS)]


def engine_at_start(**fields):
    engine = engine_of(NETWORK, batch_size=BATCH, **fields)
    engine.load_weights(NETWORK.initial_weights(1))
    return engine


def train(engine, batches):
    """Train a step for each batch; yields the weights after each."""
    for images in batches:
        engine.train_batch(images, LABELS, 0.1)
        yield engine.weights()


def expected_average():
    """The average over the steps of a training without it, by the formula, in float64."""
    average = {name: array.astype(float) for name, array in NETWORK.initial_weights(1).items()}
    for step, weights in enumerate(train(engine_at_start(), IMAGES), 1):
        decay = min(DECAY, (1 + step) / (10 + step))
        average = {name: decay * array + (1 - decay) * weights[name] for name, array in average.items()}
    return average


def state_of(engine):
    return {**engine.weights(), **engine.optimizer_state()}


def test_the_weights_are_the_moving_average_of_those_of_a_training_without_it():
    *_, averaged = train(engine_at_start(ema=DECAY), IMAGES)
    for name, array in expected_average().items():
        np.testing.assert_allclose(averaged[name], array, rtol=1e-5, atol=1e-7, err_msg=name)


def test_the_training_goes_on_from_its_own_weights():
    plain, averaging = engine_at_start(), engine_at_start(ema=DECAY)
    for engine in (plain, averaging):
        list(train(engine, IMAGES))
    raw, state = plain.weights(), averaging.optimizer_state()
    for name in ("ip.weight", "ip.bias", "norm.mean", "norm.variance"):
        assert (state[f"{name}.raw"] == raw[name]).all()
        assert (averaging.weights()[name] != raw[name]).any()
    assert averaging.training_scores() == plain.training_scores()


def test_validation_and_the_deployed_network_use_the_averaged_weights_and_statistics():
    averaging = engine_at_start(ema=DECAY)
    list(train(averaging, IMAGES))
    fresh = engine_of(NETWORK, batch_size=BATCH)
    fresh.load_weights(averaging.weights())
    for engine in (averaging, fresh):
        engine.evaluate_batch(IMAGES[0], LABELS)
    assert averaging.evaluation_scores().loss == pytest.approx(fresh.evaluation_scores().loss, rel=1e-6)
    np.testing.assert_allclose(averaging.forward(IMAGES[0])["ip"], fresh.forward(IMAGES[0])["ip"], rtol=1e-5)


def test_weights_that_are_not_trained_keep_their_bits():
    *_, averaged = train(engine_at_start(ema=DECAY), IMAGES)
    start = NETWORK.initial_weights(1)
    assert {name for name, array in averaged.items() if (array == start[name]).all()} == {"gain.weight", "gain.bias"}


def test_a_resumed_training_has_the_bits_of_an_uninterrupted_one():
    whole, first, second = (engine_at_start(ema=DECAY, solver_type="ADAMW", gradient_clip=0.1) for _ in range(3))
    list(train(whole, IMAGES))
    list(train(first, IMAGES[:5]))
    second.load_weights(first.weights())
    second.load_optimizer_state(first.optimizer_state())
    list(train(second, IMAGES[5:]))
    expected, got = state_of(whole), state_of(second)
    assert [name for name, array in expected.items() if (got[name] != array).any()] == []
    assert expected.keys() == got.keys()


def test_a_state_without_the_weights_before_the_average_is_refused():
    plain, averaging = engine_at_start(), engine_at_start(ema=DECAY)
    with pytest.raises(BadInput, match=r"does not have the weights before their average: 'ip.weight.raw'"):
        averaging.load_optimizer_state(plain.optimizer_state())


@pytest.mark.parametrize("step, decay", [(1, 2 / 11), (90, 0.91), (10**6, 0.999)])
def test_the_average_forgets_the_first_steps_sooner(step, decay):
    assert averaging_decay(0.999, step) == pytest.approx(decay)
