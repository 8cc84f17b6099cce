"""A trained network for another dataset."""

from dataclasses import replace

import pytest

from models_app import networks
from models_app.networks import BadNetwork, Layer
from models_app.networks.retrain import retrained
from tests.support.samples.network_samples import DATA, network

LENET = networks.standard("lenet", (1, 28, 28), 10)


def shapes(net):
    return {weight.name: weight.shape for weight in net.weights()}


def test_with_as_many_categories_the_network_stays_as_it_is():
    assert retrained(LENET, (1, 28, 28), categories=(10, 10)) == LENET


def test_with_other_categories_the_last_layer_starts_afresh_under_another_name():
    changed = retrained(LENET, (1, 28, 28), categories=(10, 3))
    before, after = shapes(LENET), shapes(changed)
    assert {name: after[name] for name in after if name not in before} == {
        "ip2_retrain.weight": (3, 500),
        "ip2_retrain.bias": (3,),
    }
    assert set(before) - set(after) == {"ip2.weight", "ip2.bias"}
    assert changed.shapes()["softmax"] == (3,)


def test_a_network_that_was_retrained_can_be_again():
    twice = retrained(retrained(LENET, (1, 28, 28), categories=(10, 3)), (1, 28, 28), categories=(3, 4))
    assert shapes(twice)["ip2_retrain_retrain.bias"] == (4,)


def test_other_images_make_another_network_of_the_same_layers():
    larger = retrained(LENET, (3, 32, 32), categories=(10, 10))
    assert larger == networks.standard("lenet", (3, 32, 32), 10)


def test_images_too_small_for_it_are_refused_with_the_layer():
    with pytest.raises(BadNetwork, match="layer conv2: 5×5 kernel does not fit"):
        retrained(LENET, (1, 8, 8), categories=(10, 10))


def scored(*layers, data=DATA):
    """A network whose scores pass through layers without weights of their own."""
    judges = (
        Layer("loss", "SoftmaxWithLoss", ("scores", "label"), ("loss",), phases=("train", "val")),
        Layer("softmax", "Softmax", ("scores",), ("softmax",), phases=("deploy",)),
    )
    return replace(network(*layers, *judges), layers=(data, *layers, *judges))


def convolution(outputs):
    return Layer("conv", "Convolution", ("data",), ("conv",), {"num_output": outputs, "kernel_size": 1})


POOL = Layer("pool", "Pooling", ("conv",), ("scores",), {"pool": "AVE", "kernel_size": 8})


def test_a_last_layer_that_is_a_convolution_is_found_behind_pooling():
    relu = Layer("relu", "ReLU", ("conv",), ("conv",))
    changed = retrained(scored(convolution(5), relu, POOL), (3, 8, 8), categories=(5, 2))
    assert shapes(changed) == {"conv_retrain.weight": (2, 3, 1, 1), "conv_retrain.bias": (2,)}


def test_every_classifier_of_a_network_is_found():
    ip = Layer("ip", "InnerProduct", ("data",), ("auxiliary",), {"num_output": 5})
    loss = Layer("loss2", "SoftmaxWithLoss", ("auxiliary", "label"), ("loss2",), phases=("train",))
    changed = retrained(scored(convolution(5), POOL, ip, loss), (3, 8, 8), categories=(5, 2))
    assert {name: shape[0] for name, shape in shapes(changed).items()} == dict.fromkeys(
        ("conv_retrain.weight", "conv_retrain.bias", "ip_retrain.weight", "ip_retrain.bias"), 2
    )


def test_a_width_that_was_chosen_by_hand_stays():
    changed = retrained(scored(convolution(1000), POOL), (3, 8, 8), categories=(5, 2))
    assert shapes(changed)["conv_retrain.bias"] == (1000,)


def test_the_networks_own_crop_is_kept_or_replaced():
    data = replace(DATA, parameters={"crop_size": 8})
    cropped = scored(Layer("ip", "InnerProduct", ("data",), ("scores",), {"num_output": 5}), data=data)
    assert retrained(cropped, (3, 20, 30)).input_shape == (3, 8, 8)
    nine = retrained(cropped, (3, 20, 30), crop_size=9)
    assert (nine.input_shape, nine.layers[0].parameters["crop_size"]) == ((3, 9, 9), 9)
    with pytest.raises(BadNetwork, match="takes 8×8 of an image, and the images are 7×30"):
        retrained(cropped, (3, 7, 30))
