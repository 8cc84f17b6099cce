"""SGD against the same arithmetic in NumPy, by Caffe's formulas."""

import numpy as np
import pytest

from models_app.networks.layer import Multipliers
from tests.engine_samples import engine_of, random_images, random_weights
from tests.training_samples import softmax_network

MOMENTUM, DECAY = 0.9, 0.05
RATES = (0.5, 0.1, 0.1)  # the rate falls in between, as it does in training


def gradients(weights, images, labels):
    """Of the mean softmax loss, in float64."""
    x = images.reshape(len(images), -1) * 0.01
    scores = x @ weights["ip.weight"].T + weights["ip.bias"]
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    wrong = odds / odds.sum(axis=1, keepdims=True) - np.eye(3)[labels]
    return {"ip.weight": wrong.T @ x / len(x), "ip.bias": wrong.mean(axis=0)}


def caffe_sgd(weights, batches, multipliers):
    """v ← momentum·v + lr_mult·rate·(gradient + decay_mult·decay·w), w ← w - v."""
    weights = {name: array.astype(float) for name, array in weights.items()}
    velocity = {name: np.zeros_like(array) for name, array in weights.items()}
    for rate, (images, labels) in zip(RATES, batches, strict=True):
        gradient = gradients(weights, images, labels)
        for (name, array), (lr_mult, decay_mult) in zip(weights.items(), multipliers, strict=True):
            step = lr_mult * rate * (gradient[name] + decay_mult * DECAY * array)
            velocity[name] = MOMENTUM * velocity[name] + step
        weights = {name: array - velocity[name] for name, array in weights.items()}
    return weights


@pytest.mark.parametrize("multipliers", [((1, 1), (1, 1)), ((1, 1), (2, 0)), ((0.5, 3), (0, 1))])
def test_the_engine_takes_caffes_steps(multipliers):
    network = softmax_network(3, (1, 2, 2), multipliers=tuple(Multipliers(*m) for m in multipliers))
    start = random_weights(network)
    batches = [(random_images(network, 4, seed), np.random.default_rng(seed).integers(0, 3, 4)) for seed in range(3)]
    engine = engine_of(network, momentum=MOMENTUM, weight_decay=DECAY)
    engine.load_weights(start)
    for rate, (images, labels) in zip(RATES, batches, strict=True):
        engine.train_batch(images, labels.astype(np.float32), rate)
    expected, got = caffe_sgd(start, batches, multipliers), engine.weights()
    assert set(got) == set(expected) == {"ip.weight", "ip.bias"}
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-5, atol=1e-6)
    assert np.abs(got["ip.weight"] - start["ip.weight"]).max() > 0.01
