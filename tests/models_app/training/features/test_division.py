"""The division of a network into the layers that compute features and those that learn."""

from dataclasses import replace

import numpy as np
import pytest

from models_app.networks import STANDARD, BadNetwork, Layer, standard
from models_app.networks.fine_tuning import HEAD, FineTuning, tuned
from models_app.training.features.backbone import Backbone
from models_app.training.features.division import divide
from tests.support.samples.engine_samples import engine_of, random_images, random_weights
from tests.support.samples.network_samples import network
from tests.support.samples.training_samples import LABELLED_PHASES, dropout_network

SIDES = {"lenet": 28, "alexnet": 67, "googlenet": 96, "vgg16": 32}
XAVIER = {"weight_filler": {"type": "xavier"}}


def head_of(whole):
    """The parts of a network of which only the head is trained."""
    return divide(tuned(whole, FineTuning(HEAD)))


def two_heads():
    """A network with a loss beside the last one, as GoogLeNet has, whose second head reads a map."""
    return network(
        Layer("conv", "Convolution", ("data",), ("conv",), {"num_output": 4, "kernel_size": 3, **XAVIER}),
        Layer("side", "InnerProduct", ("conv",), ("side",), {"num_output": 3, **XAVIER}, phases=("train",)),
        Layer("side loss", "SoftmaxWithLoss", ("side", "label"), ("side loss",), {"loss_weight": 0.3},
              phases=("train",)),
        Layer("pool", "Pooling", ("conv",), ("pool",), {"kernel_size": 2, "stride": 2}),
        Layer("ip", "InnerProduct", ("pool",), ("ip",), {"num_output": 3, **XAVIER}),
        Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=LABELLED_PHASES),
        Layer("softmax", "Softmax", ("ip",), ("softmax",), phases=("deploy",)),
        input_shape=(3, 8, 8),
    )  # fmt: skip


@pytest.mark.parametrize("name", STANDARD)
def test_every_standard_network_can_be_divided(name):
    whole = standard(name, (3, *[SIDES.get(name, 64)] * 2), 5)
    parts = head_of(whole)
    shapes = {weight.name: weight.shape for weight in whole.weights()}
    found = [{weight.name: weight.shape for weight in part.weights()} for part in (parts.backbone, parts.head)]
    assert found[0] | found[1] == shapes
    assert not found[0].keys() & found[1].keys()
    assert not [weight.name for weight in parts.backbone.weights() if weight.trained]
    assert parts.backbone.shapes("deploy")[parts.backbone.outputs("deploy")[0]] == (parts.size,)
    assert len(parts.backbone.outputs("deploy")) == 1


@pytest.mark.usefixtures("engine_name")
def test_the_parts_of_a_network_with_several_heads_have_its_losses(tmp_path):
    whole = tuned(two_heads(), FineTuning(HEAD))
    parts, weights, images = divide(whole), random_weights(whole), random_images(whole, 4)
    labels = np.array([0, 1, 2, 1], np.float32)
    engines = [engine_of(whole), engine_of(parts.head, input_type="float32")]
    for engine in engines:
        engine.load_weights(weights)
    features = Backbone(parts, weights, None, None).open(tmp_path).run(images)
    engines[0].train_batch(images, labels, 0.1)
    engines[1].train_batch(features.reshape(4, 1, 1, -1), labels, 0.1)
    (expected, found) = (engine.training_scores() for engine in engines)
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    trained = engines[1].weights()
    assert sorted(trained) == ["ip.bias", "ip.weight", "side.bias", "side.weight"]
    after = engines[0].weights()
    for name, array in trained.items():
        np.testing.assert_allclose(array, after[name], rtol=1e-4, atol=1e-6)


def test_names_that_the_network_has_already_are_not_taken():
    layers = tuple(
        replace(layer, name="features", tops=("features",)) if layer.name == "conv" else
        replace(layer, bottoms=tuple("features" if bottom == "conv" else bottom for bottom in layer.bottoms))
        for layer in dropout_network().layers
    )  # fmt: skip
    parts = head_of(replace(dropout_network(), layers=layers))
    assert parts.backbone.outputs("deploy") == ["features_"]


def test_a_dropout_below_the_head_belongs_to_the_layers_that_learn():
    parts = head_of(standard("vgg16", (3, 32, 32), 5))
    assert "drop6" in [layer.name for layer in parts.head.layers]
    assert "fc6" in [layer.name for layer in parts.backbone.layers]
    assert [weight.name for weight in parts.head.weights() if weight.trained] == ["fc8.weight", "fc8.bias"]


def test_a_head_on_the_images_themselves_can_not_be_divided():
    flat = network(
        Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 3, **XAVIER}),
        Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=LABELLED_PHASES),
        Layer("softmax", "Softmax", ("ip",), ("softmax",), phases=("deploy",)),
    )
    with pytest.raises(BadNetwork, match="layer ip is trained on the images themselves"):
        head_of(flat)


def test_a_value_that_is_changed_in_place_after_a_head_read_it_can_not_be_kept():
    layers = list(two_heads().layers)
    layers.insert(4, Layer("relu", "ReLU", ("conv",), ("conv",)))
    with pytest.raises(BadNetwork, match="layer side reads conv, which layer relu changes in place"):
        head_of(replace(two_heads(), layers=tuple(layers)))
