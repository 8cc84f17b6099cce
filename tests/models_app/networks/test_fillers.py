"""Fillers give a network its initial weights."""

import math

import numpy as np
import pytest

from models_app.networks import BadNetwork, standard
from models_app.networks.fillers import fill
from tests.support.samples.network_samples import chain


def test_the_same_seed_gives_the_same_weights_and_another_seed_gives_other_weights():
    lenet = standard("lenet", (1, 28, 28), 10)
    first, again, other = lenet.initial_weights(1), lenet.initial_weights(1), lenet.initial_weights(2)
    assert all((first[name] == again[name]).all() for name in first)
    assert not (first["conv1.weight"] == other["conv1.weight"]).any()


def test_the_initial_weights_of_lenet_are_the_same_on_every_machine():
    weights = standard("lenet", (1, 28, 28), 10).initial_weights(1)
    assert weights["conv1.weight"].dtype == np.float32
    expected = [-0.28441575, 0.17492056, -0.13610768]
    np.testing.assert_allclose(weights["conv1.weight"].ravel()[:3], expected, rtol=1e-6)


def test_an_added_layer_does_not_change_the_initial_weights_of_the_others():
    convolution = ("Convolution", {"num_output": 4, "kernel_size": 3, "weight_filler": {"type": "xavier"}})
    short, longer = chain(convolution), chain(convolution, ("InnerProduct", {"num_output": 2}))
    name = "convolution1.weight"
    assert (short.initial_weights(5)[name] == longer.initial_weights(5)[name]).all()


@pytest.mark.parametrize(
    "filler, bound",
    [
        ({"type": "xavier"}, math.sqrt(3 / 400)),
        ({"type": "xavier", "variance_norm": "FAN_OUT"}, math.sqrt(3 / 1250)),
        ({"type": "xavier", "variance_norm": "AVERAGE"}, math.sqrt(3 / 825)),
        ({"type": "uniform", "min": -0.5, "max": 0.5}, 0.5),
    ],
)
def test_uniform_fillers_draw_values_up_to_their_bound(filler, bound):
    values = fill("w", (50, 16, 5, 5), filler, seed=0)
    assert bound * 0.99 < np.abs(values).max() <= bound


@pytest.mark.parametrize(
    "filler, mean, deviation",
    [
        ({"type": "msra"}, 0, math.sqrt(2 / 400)),
        ({"type": "gaussian", "mean": 1, "std": 0.1}, 1, 0.1),
        ({"type": "constant", "value": 3}, 3, 0),
        ({"type": "gaussian", "std": 0.1, "sparse": 50}, 0, 0.1),
        ({"type": "gaussian", "std": 0.1, "sparse": 10}, 0, 0.1 * math.sqrt(10 / 50)),
        ({"type": "gaussian", "std": 0.1, "sparse": -1}, 0, 0.1),
        ({"type": "gaussian", "std": 0.1, "sparse": 60}, 0, 0.1),
        ({}, 0, 0),
    ],
)
def test_fillers_draw_values_of_their_mean_and_standard_deviation(filler, mean, deviation):
    values = fill("w", (50, 16, 5, 5), filler, seed=0).astype(float)
    assert values.mean() == pytest.approx(mean, abs=0.002)
    assert values.std() == pytest.approx(deviation, rel=0.02)


def test_a_sparse_filler_sets_all_but_a_share_of_the_weights_to_zero():
    values = fill("w", (50, 400), {"type": "gaussian", "sparse": 15}, seed=0)
    assert np.count_nonzero(values) / values.size == pytest.approx(15 / 50, abs=0.01)


def test_the_nonzero_weights_of_a_sparse_filler_equal_those_of_the_dense_filler():
    dense = fill("w", (50, 16), {"type": "gaussian"}, seed=0)
    values = fill("w", (50, 16), {"type": "gaussian", "sparse": 15}, seed=0)
    assert np.array_equal(values[values != 0], dense[values != 0])


def test_a_positive_unitball_filler_adds_up_to_one_for_each_output():
    values = fill("w", (5, 3, 2, 2), {"type": "positive_unitball"}, seed=0)
    assert values.min() >= 0
    np.testing.assert_allclose(values.reshape(5, -1).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "filler, message",
    [
        ({"type": "xavier", "sparse": 2}, "a filler's sparse is for the type gaussian only"),
        ({"type": "gaussian", "sparse": -2}, "sparse must be a whole number from 0, or -1 for none, not -2"),
        ({"type": "gaussian", "sparse": 1.5}, "sparse must be a whole number from 0, or -1 for none, not 1.5"),
    ],
)
def test_an_invalid_sparse_setting_of_a_filler_is_refused(filler, message):
    with pytest.raises(BadNetwork, match=message):
        chain(("InnerProduct", {"num_output": 4, "weight_filler": filler})).check()
