"""retrained() adapts a trained network to the categories and image size of another dataset."""

from dataclasses import replace

import pytest

from models_app import networks
from models_app.networks import BadNetwork, Layer
from models_app.networks.retrain import retrained
from tests.support.samples.network_samples import DATA, network

LENET = networks.standard("lenet", (1, 28, 28), 10)


def shapes(net):
    return {weight.name: weight.shape for weight in net.weights()}


def test_a_network_for_as_many_categories_stays_unchanged():
    assert retrained(LENET, (1, 28, 28), categories=(10, 10)) == LENET


def test_another_number_of_categories_replaces_the_last_layer_by_one_of_another_name():
    changed = retrained(LENET, (1, 28, 28), categories=(10, 3))
    before, after = shapes(LENET), shapes(changed)
    assert {name: after[name] for name in after if name not in before} == {
        "ip2_retrain.weight": (3, 500),
        "ip2_retrain.bias": (3,),
    }
    assert set(before) - set(after) == {"ip2.weight", "ip2.bias"}
    assert changed.shapes()["softmax"] == (3,)


def test_a_retrained_network_can_be_retrained_again():
    twice = retrained(retrained(LENET, (1, 28, 28), categories=(10, 3)), (1, 28, 28), categories=(3, 4))
    assert shapes(twice)["ip2_retrain_retrain.bias"] == (4,)


def test_images_of_another_shape_give_the_same_layers_with_another_input_shape():
    larger = retrained(LENET, (3, 32, 32), categories=(10, 10))
    assert larger == networks.standard("lenet", (3, 32, 32), 10)


def test_images_too_small_for_the_network_are_refused_with_the_name_of_the_layer():
    with pytest.raises(BadNetwork, match="layer conv2: 5×5 kernel does not fit"):
        retrained(LENET, (1, 8, 8), categories=(10, 10))


def classifier(*layers, data=DATA):
    """A network of these layers whose `scores` go to a loss and to a softmax."""
    heads = (
        Layer("loss", "SoftmaxWithLoss", ("scores", "label"), ("loss",), phases=("train", "val")),
        Layer("softmax", "Softmax", ("scores",), ("softmax",), phases=("deploy",)),
    )
    return replace(network(*layers, *heads), layers=(data, *layers, *heads))


def convolution(outputs):
    return Layer("conv", "Convolution", ("data",), ("conv",), {"num_output": outputs, "kernel_size": 1})


POOL = Layer("pool", "Pooling", ("conv",), ("scores",), {"pool": "AVE", "kernel_size": 8})


def test_retraining_replaces_a_last_convolution_in_front_of_pooling():
    relu = Layer("relu", "ReLU", ("conv",), ("conv",))
    changed = retrained(classifier(convolution(5), relu, POOL), (3, 8, 8), categories=(5, 2))
    assert shapes(changed) == {"conv_retrain.weight": (2, 3, 1, 1), "conv_retrain.bias": (2,)}


def test_retraining_replaces_the_last_layer_of_every_classifier():
    ip = Layer("ip", "InnerProduct", ("data",), ("auxiliary",), {"num_output": 5})
    loss = Layer("loss2", "SoftmaxWithLoss", ("auxiliary", "label"), ("loss2",), phases=("train",))
    changed = retrained(classifier(convolution(5), POOL, ip, loss), (3, 8, 8), categories=(5, 2))
    assert {name: shape[0] for name, shape in shapes(changed).items()} == dict.fromkeys(
        ("conv_retrain.weight", "conv_retrain.bias", "ip_retrain.weight", "ip_retrain.bias"), 2
    )


def test_retraining_keeps_an_output_size_that_is_not_the_number_of_categories():
    changed = retrained(classifier(convolution(1000), POOL), (3, 8, 8), categories=(5, 2))
    assert shapes(changed)["conv_retrain.bias"] == (1000,)


def test_retraining_keeps_the_crop_size_of_the_network_or_takes_a_new_one():
    data = replace(DATA, parameters={"crop_size": 8})
    cropped = classifier(Layer("ip", "InnerProduct", ("data",), ("scores",), {"num_output": 5}), data=data)
    assert retrained(cropped, (3, 20, 30)).input_shape == (3, 8, 8)
    nine = retrained(cropped, (3, 20, 30), crop_size=9)
    assert (nine.input_shape, nine.layers[0].parameters["crop_size"]) == ((3, 9, 9), 9)
    with pytest.raises(BadNetwork, match="takes 8×8 of an image, and the images are 7×30"):
        retrained(cropped, (3, 7, 30))
