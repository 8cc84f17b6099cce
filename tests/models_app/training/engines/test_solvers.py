"""Each solver takes the steps of Caffe's formula, which the tests write out in NumPy."""

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.networks.layer import Multipliers
from models_app.training.engines.interface import OPTIMIZER_SLOTS
from models_app.training.hyperparameters import SOLVERS
from tests.support.samples.engine_samples import engine_of, random_images, random_weights
from tests.support.samples.imagedb_samples import digits
from tests.support.samples.training_samples import softmax_network

pytestmark = pytest.mark.usefixtures("engine_name")

MOMENTUM, RMS_DECAY, DECAY, DELTA = 0.9, 0.99, 0.05, 1e-8
RATES = (0.5, 0.1, 0.1, 0.2, 0.02)  # a rate for each step, changing as in a training
BATCHES = range(len(RATES))


def gradients(weights, images, labels):
    """The gradients of the mean softmax loss, in float64."""
    x = images.reshape(len(images), -1) * 0.01
    scores = x @ weights["ip.weight"].T + weights["ip.bias"]
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    error = odds / odds.sum(axis=1, keepdims=True) - np.eye(3)[labels]
    return {"ip.weight": error.T @ x / len(x), "ip.bias": error.mean(axis=0)}


class Sgd:
    def __init__(self, shape):
        self.h, self.k, self.t = np.zeros(shape), np.zeros(shape), 0

    def change(self, g, rate):
        self.h = MOMENTUM * self.h + rate * g
        return self.h

    def step(self, w, g, rate, decay):
        return w - self.change(g + decay * w, rate)


class Nesterov(Sgd):
    def change(self, g, rate):
        before, after = self.h, super().change(g, rate)
        return (1 + MOMENTUM) * after - MOMENTUM * before


class AdaGrad(Sgd):
    def change(self, g, rate):
        self.h = self.h + g**2
        return rate * g / (np.sqrt(self.h) + DELTA)


class RmsProp(Sgd):
    def change(self, g, rate):
        self.h = RMS_DECAY * self.h + (1 - RMS_DECAY) * g**2
        return rate * g / (np.sqrt(self.h) + DELTA)


class AdaDelta(Sgd):
    def change(self, g, rate):
        self.h = MOMENTUM * self.h + (1 - MOMENTUM) * g**2
        update = g * np.sqrt((self.k + DELTA) / (self.h + DELTA))
        self.k = MOMENTUM * self.k + (1 - MOMENTUM) * update**2
        return rate * update


class Adam(Sgd):
    def change(self, g, rate):
        self.t += 1
        self.h = 0.9 * self.h + 0.1 * g
        self.k = 0.999 * self.k + 0.001 * g**2
        correction = np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        return rate * correction * self.h / (np.sqrt(self.k) + DELTA)


class AdamW(Sgd):
    """Algorithm 2 of Loshchilov and Hutter, "Decoupled Weight Decay Regularization"."""

    def change(self, g, rate):
        self.t += 1
        self.h = 0.9 * self.h + 0.1 * g
        self.k = 0.999 * self.k + 0.001 * g**2
        mean, square = self.h / (1 - 0.9**self.t), self.k / (1 - 0.999**self.t)
        return rate * mean / (np.sqrt(square) + DELTA)

    def step(self, w, g, rate, decay):
        return w - rate * decay * w - self.change(g, rate)


CAFFE = {
    "SGD": Sgd,
    "NESTEROV": Nesterov,
    "ADAGRAD": AdaGrad,
    "RMSPROP": RmsProp,
    "ADADELTA": AdaDelta,
    "ADAM": Adam,
    "ADAMW": AdamW,
}


def caffe(solver_type, weights, batches, multipliers=((1, 1), (1, 1)), clip=np.inf):
    """The weights after these batches, and the solver of each array with its state. Each array has its own multipliers
    of rate and decay. `clip` is the largest norm of all gradients together."""
    weights = {name: array.astype(float) for name, array in weights.items()}
    solvers = {name: CAFFE[solver_type](array.shape) for name, array in weights.items()}
    for rate, (images, labels) in zip(RATES, batches, strict=True):
        gradient = gradients(weights, images, labels)
        norm = np.sqrt(sum((array**2).sum() for array in gradient.values()))
        for name, (lr_mult, decay_mult) in zip(solvers, multipliers, strict=True):
            clipped = gradient[name] * clip / max(clip, norm) if clip < np.inf else gradient[name]
            weights[name] = solvers[name].step(weights[name], clipped, lr_mult * rate, decay_mult * DECAY)
    return weights, solvers


def sample(multipliers=((1, 1), (1, 1)), seed=0):
    network = softmax_network(3, (1, 2, 2), multipliers=tuple(Multipliers(*m) for m in multipliers))
    labels = np.random.default_rng(seed).integers(0, 3, (len(BATCHES), 4))
    return network, [(random_images(network, 4, i), labels[i]) for i in BATCHES]


def solver_of(network, solver_type, weights, **fields):
    settings = {"momentum": MOMENTUM, "rms_decay": RMS_DECAY, "weight_decay": DECAY} | fields
    engine = engine_of(network, solver_type=solver_type, **settings)
    engine.load_weights(weights)
    return engine


def train(engine, batches, rates=RATES):
    for rate, (images, labels) in zip(rates, batches, strict=True):
        engine.train_batch(images, labels.astype(np.float32), rate)


def test_every_solver_has_its_formula_in_this_module():
    assert set(CAFFE) == set(SOLVERS)


@pytest.mark.parametrize("solver_type", SOLVERS)
@pytest.mark.parametrize("multipliers", [((1, 1), (1, 1)), ((1, 1), (2, 0)), ((0.5, 3), (0.1, 1))])
def test_a_solver_takes_the_steps_of_caffe(solver_type, multipliers):
    network, batches = sample(multipliers)
    start = random_weights(network)
    engine = solver_of(network, solver_type, start)
    train(engine, batches)
    expected, got = caffe(solver_type, start, batches, multipliers)[0], engine.weights()
    assert set(got) == set(expected) == {"ip.weight", "ip.bias"}
    for name, array in expected.items():
        moved = np.abs(array - start[name]).max()
        np.testing.assert_allclose(got[name], array, rtol=0, atol=1e-4 * moved + 3e-8)  # precision of float32
        assert (got[name] != start[name]).any()


@pytest.mark.parametrize("solver_type", SOLVERS)
def test_a_layer_whose_rate_is_too_small_for_float32_is_not_changed_by_it(solver_type):
    network, batches = sample(((1e-20, 0), (1e-20, 0)))
    start = random_weights(network)
    engine = solver_of(network, solver_type, start)
    train(engine, batches, [1e-20] * len(batches))
    assert all((array == start[name]).all() for name, array in engine.weights().items())


@pytest.mark.parametrize("solver_type", SOLVERS)
def test_a_momentum_or_a_decay_too_small_for_float32_is_0(solver_type):
    network, batches = sample()
    start, ends = random_weights(network), []
    for tiny in (0, 1e-40):
        engine = solver_of(network, solver_type, start, momentum=tiny, weight_decay=tiny)
        train(engine, batches)
        ends.append(engine.weights())
    assert all((array == ends[0][name]).all() for name, array in ends[1].items())


def norms(weights, batches):
    """The norm of all gradients of each batch at these weights."""
    of_each = (gradients(weights, *batch).values() for batch in batches)
    return [np.sqrt(sum((array**2).sum() for array in arrays)) for arrays in of_each]


@pytest.mark.parametrize("solver_type", ["SGD", "ADAMW"])
def test_gradient_clip_scales_down_gradients_of_a_longer_norm(solver_type):
    network, batches = sample()
    start = random_weights(network)
    clip = float(np.median(norms(start, batches)))  # above the norms of some steps, below those of others
    engine, free = (solver_of(network, solver_type, start, gradient_clip=limit) for limit in (clip, 1e6))
    for each in (engine, free):
        train(each, batches)
    expected = caffe(solver_type, start, batches, clip=clip)[0]
    for name, array in expected.items():
        moved = np.abs(array - start[name]).max()
        np.testing.assert_allclose(engine.weights()[name], array, rtol=0, atol=1e-4 * moved + 3e-8)
        assert np.abs(engine.weights()[name] - free.weights()[name]).max() > 1e-3 * moved


def test_gradient_clip_limits_the_average_gradient_of_accumulated_batches():
    network, batches = sample()
    start = random_weights(network)
    clip = 0.5 * norms(start, batches[:1])[0]
    once, twice = (solver_of(network, "SGD", start, gradient_clip=clip, batch_accumulation=n) for n in (1, 2))
    train(once, batches[:1], [0.1])
    train(twice, batches[:1] * 2, [None, 0.1])
    for name, array in once.weights().items():
        np.testing.assert_allclose(twice.weights()[name], array, rtol=1e-5)


SLOT_VALUES = {"momentum": lambda s: -s.h, "square": lambda s: s.h, "update": lambda s: s.k, "mean": lambda s: s.h}
OF_ADAM = SLOT_VALUES | {"square": lambda s: s.k}
SLOT_VALUES_OF = dict.fromkeys(SOLVERS, SLOT_VALUES) | {"ADAM": OF_ADAM, "ADAMW": OF_ADAM}


@pytest.mark.parametrize("solver_type", SOLVERS)
def test_the_optimizer_state_has_the_values_of_caffe_under_the_names_that_engines_share(solver_type):
    network, batches = sample()
    start = random_weights(network)
    engine = solver_of(network, solver_type, start)
    train(engine, batches)
    _, solvers = caffe(solver_type, start, batches, ((1, 1), (1, 1)))
    expected = {
        f"{name}.{slot}": SLOT_VALUES_OF[solver_type][slot](solver)
        for name, solver in solvers.items()
        for slot in OPTIMIZER_SLOTS[solver_type]
    }
    state = engine.optimizer_state()
    assert (state.pop("steps"), state.pop("batches")) == (len(RATES), len(RATES))
    assert set(state) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(state[name], array, rtol=0, atol=2e-4 * np.abs(array).max())


@pytest.mark.parametrize("solver_type", SOLVERS)
def test_a_resumed_solver_ends_with_the_same_bits(solver_type):
    network, batches = sample()
    whole, first = (solver_of(network, solver_type, random_weights(network)) for _ in range(2))
    train(whole, batches)
    train(first, batches[:3], RATES[:3])
    second = solver_of(network, solver_type, first.weights())
    second.load_optimizer_state(first.optimizer_state())
    train(second, batches[3:], RATES[3:])
    for name, array in {**whole.weights(), **whole.optimizer_state()}.items():
        assert (array == {**second.weights(), **second.optimizer_state()}[name]).all(), name


@pytest.mark.parametrize("other", sorted(set(SOLVERS) - {"ADAM", "ADAMW"}))
def test_the_optimizer_state_of_another_solver_is_refused(other):
    network, _ = sample()
    state = solver_of(network, "ADAM", random_weights(network)).optimizer_state()
    with pytest.raises(BadInput, match=f"does not fit {other}"):
        solver_of(network, other, random_weights(network)).load_optimizer_state(state)


@pytest.mark.parametrize(
    "solver_type, rate",
    [("SGD", 0.1), ("NESTEROV", 0.1), ("ADAGRAD", 0.05), ("RMSPROP", 0.005), ("ADADELTA", 10.0), ("ADAM", 0.01),
     ("ADAMW", 0.01)],
)  # fmt: skip
def test_every_solver_learns_digits(solver_type, rate):
    images, labels = digits()
    network = softmax_network()
    engine = engine_of(network, batch_size=32, solver_type=solver_type, weight_decay=0.0005)
    engine.load_weights(network.initial_weights(0))
    losses = []
    for _ in range(4):
        for start in range(0, 320, 32):
            batch = slice(start, start + 32)
            engine.train_batch(images[batch, np.newaxis], labels[batch].astype(np.float32), rate)
        losses.append(engine.training_scores().loss)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.6 * losses[0]
