"""Gradients: a training step changes each weight by the slope of the loss, measured by moving the weight a little."""

from dataclasses import replace

import numpy as np
import pytest

from models_app.networks import Layer, Multipliers, Network
from tests.support.samples.engine_samples import engine_of, random_images
from tests.support.samples.network_samples import DATA, network

pytestmark = pytest.mark.usefixtures("engine_name")

BATCH = 4
CATEGORIES = 3
LABELLED = ("train", "val")
STEP = 2e-3

SCALED = Layer("scaled", "Power", ("data",), ("scaled",), {"scale": 0.01, "shift": -1.27})
FILLED = {"weight_filler": {"type": "gaussian", "std": 0.3}}
FIRST = Layer("first", "Convolution", ("scaled",), ("first",), {"num_output": 4, "kernel_size": 2, **FILLED})


def gradients(sample: Network, images, labels) -> dict[str, np.ndarray]:
    """The amounts that one step of gradient descent at learning rate 1 subtracts from the weights."""
    engine, before = engine_of(sample, batch_size=BATCH, momentum=0), sample.initial_weights(0)
    engine.load_weights(before)
    engine.train_batch(images, labels, 1.0)
    after = engine.weights()
    return {name: before[name] - after[name] for name in before}


def slopes(sample: Network, images, labels, places: dict[str, list[tuple]]) -> dict[str, list[float]]:
    """The slope of the loss at single weights, from the losses a small step below and above each weight."""
    engine, weights = engine_of(sample, batch_size=BATCH), sample.initial_weights(0)

    def loss_with(name, place, change):
        moved = {**weights, name: weights[name].copy()}
        moved[name][place] += change
        engine.load_weights(moved)
        engine.evaluate_batch(images, labels)
        return engine.evaluation_scores().loss

    return {
        name: [(loss_with(name, place, STEP) - loss_with(name, place, -STEP)) / (2 * STEP) for place in of_name]
        for name, of_name in places.items()
    }


def check(sample: Network, labels) -> None:
    """Compare gradients and slopes at the two largest gradients of every array."""
    images = random_images(sample, BATCH)
    found = gradients(sample, images, labels)
    places = {
        name: [np.unravel_index(i, array.shape) for i in np.abs(array).ravel().argsort()[-2:]]
        for name, array in found.items()
    }
    assert all(np.abs(array).max() > 1e-4 for array in found.values())
    for name, expected in slopes(sample, images, labels, places).items():
        np.testing.assert_allclose([found[name][place] for place in places[name]], expected, rtol=0.03, atol=3e-4)


CATEGORY_LABELS = np.array([0, 1, 2, 1], np.float32)

BIASED = {"bias_term": True}

LAYERS = {
    "Deconvolution": {"num_output": 4, "kernel_size": 3, "stride": 2, "group": 2, "pad": 1, **FILLED},
    "Pooling": {"kernel_size": 3, "stride": 2},
    "LRN": {"local_size": 3, "alpha": 0.5, "norm_region": "WITHIN_CHANNEL"},
    "InnerProduct": {"num_output": 5, "axis": 2, "transpose": True, **FILLED},
    "PReLU": {},
    "ELU": {"alpha": 0.5},
    "Sigmoid": {},
    "TanH": {},
    "AbsVal": {},
    "Exp": {"base": 2},
    "Log": {"shift": 20},
    "Power": {"power": 2, "shift": 3},
    "Clip": {"min": -2, "max": 2},
    "Bias": {},
    "Scale": {"bias_term": True},
    "Flatten": {"axis": 2},
    "Reshape": {"shape": [0, 2, -1]},
    "Softmax": {},
}


@pytest.mark.parametrize("kind", LAYERS)
def test_the_gradient_passes_through_a_layer(kind):
    layer = Layer("layer", kind, ("first",), ("layer",), LAYERS[kind])
    scores = Layer("scores", "InnerProduct", ("layer",), ("scores",), {"num_output": CATEGORIES, **FILLED})
    loss = Layer("loss", "SoftmaxWithLoss", ("scores", "label"), ("loss",), phases=LABELLED)
    check(network(SCALED, FIRST, layer, scores, loss, input_shape=(2, 5, 5)), CATEGORY_LABELS)


def test_a_batch_norm_with_gain_and_bias_has_the_gradients_of_a_batch_norm_with_a_scale_layer():
    scores = Layer("scores", "InnerProduct", ("norm",), ("scores",), {"num_output": CATEGORIES, **FILLED})
    loss = Layer("loss", "SoftmaxWithLoss", ("scores", "label"), ("loss",), phases=LABELLED)
    one = Layer("norm", "BatchNorm", ("first",), ("norm",), {"scale_bias": True})
    two = Layer("norm", "BatchNorm", ("first",), ("norm",)), Layer("scale", "Scale", ("norm",), ("norm",), BIASED)
    alone, pair = (network(SCALED, FIRST, *norm, scores, loss, input_shape=(2, 5, 5)) for norm in ((one,), two))
    images = random_images(alone, BATCH)
    found, expected = (gradients(sample, images, CATEGORY_LABELS) for sample in (alone, pair))
    moved = {name.replace("scale.", "norm."): array for name, array in expected.items()}
    assert found.keys() == moved.keys()
    assert all(np.abs(found[name]).max() > 1e-4 for name in ("norm.weight", "norm.bias"))
    for name, array in moved.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-6)


def behind_a_norm(scale: Layer, *others: Layer) -> Network:
    """A convolution, a BatchNorm `norm`, other layers, a Scale that makes `out`, and a loss."""
    norm = Layer("norm", "BatchNorm", ("first",), ("norm",), {"moving_average_fraction": 0.5})
    scores = Layer("scores", "InnerProduct", ("out",), ("scores",), {"num_output": CATEGORIES, **FILLED})
    loss = Layer("loss", "SoftmaxWithLoss", ("scores", "label"), ("loss",), phases=LABELLED)
    return network(SCALED, FIRST, norm, *others, scale, scores, loss, input_shape=(2, 5, 5))


@pytest.mark.parametrize("bias_term", [True, False])
@pytest.mark.parametrize("gain_rate", [1, 0], ids=["trained", "frozen"])
def test_a_scale_that_alone_reads_a_batch_norm_learns_as_one_beside_another_reader(bias_term, gain_rate):
    """An engine can compute the first pair as one layer, but not the second. Running averages are compared, too."""
    scale = Layer("scale", "Scale", ("norm",), ("out",), {"bias_term": bias_term}, (Multipliers(gain_rate),))
    split = Layer("split", "Split", ("norm",), ("copy", "unused"))
    silence = Layer("silence", "Silence", ("unused",))
    alone, beside = behind_a_norm(scale), behind_a_norm(replace(scale, bottoms=("copy",)), split, silence)
    images = random_images(alone, BATCH)
    found, expected = (gradients(sample, images, CATEGORY_LABELS) for sample in (alone, beside))
    moved = {name for name, array in found.items() if np.abs(array).max() > 1e-4}
    assert moved == set(expected) - ({"scale.weight"} if gain_rate == 0 else set()) - {"first.bias"}
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)


def test_the_gradient_passes_through_slice_split_crop_and_concat_layers():
    layers = (
        Layer("cut", "Slice", ("first",), ("a", "b"), {"axis": 1}),
        Layer("twice", "Split", ("a",), ("a1", "a2")),
        Layer("small", "Pooling", ("b",), ("small",), {"kernel_size": 2}),
        Layer("crop", "Crop", ("a1", "small"), ("crop",), {"offset": [1, 0]}),
        Layer("join", "Concat", ("crop", "small"), ("join",), {"axis": -3}),
        Layer("rest", "Silence", ("a2",)),
        Layer("scores", "InnerProduct", ("join",), ("scores",), {"num_output": CATEGORIES, **FILLED}),
        Layer("loss", "SoftmaxWithLoss", ("scores", "label"), ("loss",), phases=LABELLED),
    )
    check(network(SCALED, FIRST, *layers, input_shape=(2, 5, 5)), CATEGORY_LABELS)


IMAGE_LABELS = np.random.default_rng(1).integers(0, CATEGORIES, (BATCH, 1, 4, 4)).astype(np.float32)


@pytest.mark.parametrize("ignored", [{}, {"ignore_label": 1}], ids=["all", "ignoring"])
@pytest.mark.parametrize("normalization", ["VALID", "FULL", "BATCH_SIZE", "NONE"])
def test_a_softmax_loss_over_label_images_follows_its_normalization(normalization, ignored):
    scores = Layer("scores", "Convolution", ("scaled",), ("scores",), {"num_output": 3, "kernel_size": 2, **FILLED})
    settings = {"normalization": normalization, "loss_weight": 0.5, **ignored}
    loss = Layer("loss", "SoftmaxWithLoss", ("scores", "label"), ("loss",), settings, phases=LABELLED)
    check(Network("images", (2, 5, 5), (DATA, SCALED, scores, loss), (1, 4, 4)), IMAGE_LABELS)


@pytest.mark.parametrize("ignored", [{}, {"ignore_label": 1}], ids=["all", "ignoring"])
@pytest.mark.parametrize("normalization", ["VALID", "FULL", "BATCH_SIZE", "NONE"])
def test_a_sigmoid_loss_follows_its_normalization(normalization, ignored):
    scores = Layer("scores", "InnerProduct", ("scaled",), ("scores",), {"num_output": 6, **FILLED})
    settings = {"normalization": normalization, "loss_weight": 0.5, **ignored}
    loss = Layer("loss", "SigmoidCrossEntropyLoss", ("scores", "label"), ("loss",), settings, phases=LABELLED)
    labels = np.random.default_rng(2).integers(0, 2, (BATCH, 6, 1, 1)).astype(np.float32)
    check(Network("several", (2, 5, 5), (DATA, SCALED, scores, loss), (6, 1, 1)), labels)


def test_a_sigmoid_loss_learns_from_scores_of_zero():
    scores = Layer("scores", "InnerProduct", ("scaled",), ("scores",), {"num_output": 1})
    loss = Layer("loss", "SigmoidCrossEntropyLoss", ("scores", "label"), ("loss",), phases=LABELLED)
    sample = Network("one", (2, 5, 5), (DATA, SCALED, scores, loss), (1, 1, 1))
    labels = np.ones((BATCH, 1, 1, 1), np.float32)
    assert gradients(sample, random_images(sample, BATCH), labels)["scores.bias"] == pytest.approx(-0.5)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_euclidean_loss_learns_from_labels_that_layers_have_changed(swapped):
    compared = ("scores", "angle") if not swapped else ("angle", "scores")
    layers = (
        Layer("scores", "InnerProduct", ("scaled",), ("scores",), {"num_output": 2, **FILLED}),
        Layer("half", "Power", ("label",), ("label",), {"scale": 0.1}, phases=LABELLED),
        Layer("cut", "Slice", ("label",), ("angle", "rest"), {"slice_point": [2]}, phases=LABELLED),
        Layer("quiet", "Silence", ("rest",), phases=LABELLED),
        Layer("loss", "EuclideanLoss", compared, ("loss",), {"loss_weight": 2}, phases=LABELLED),
    )
    labels = np.random.default_rng(3).normal(0, 9, (BATCH, 3, 1, 1)).astype(np.float32)
    check(Network("angles", (2, 5, 5), (DATA, SCALED, *layers), (3, 1, 1)), labels)


def test_both_inputs_of_a_euclidean_loss_receive_gradients():
    sides = (
        Layer("a", "InnerProduct", ("scaled",), ("a",), {"num_output": 2, **FILLED}),
        Layer("b", "InnerProduct", ("scaled",), ("b",), {"num_output": 2, **FILLED}),
    )
    loss = Layer("loss", "EuclideanLoss", ("a", "b"), ("loss",), phases=LABELLED)
    check(network(SCALED, *sides, loss, input_shape=(2, 5, 5)), CATEGORY_LABELS)


def test_several_losses_contribute_to_the_gradient_by_their_weight():
    layers = (
        Layer("one", "InnerProduct", ("first",), ("one",), {"num_output": CATEGORIES, **FILLED}),
        Layer("two", "InnerProduct", ("first",), ("two",), {"num_output": CATEGORIES, **FILLED}),
        Layer("loss1", "SoftmaxWithLoss", ("one", "label"), ("loss1",), {"loss_weight": 0.3}, phases=LABELLED),
        Layer("loss2", "SoftmaxWithLoss", ("two", "label"), ("loss2",), phases=LABELLED),
    )
    check(network(SCALED, FIRST, *layers, input_shape=(2, 5, 5)), CATEGORY_LABELS)
