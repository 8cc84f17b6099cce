"""The output shapes of layers, and the parameter counts of networks."""

import pytest

from models_app.networks import Layer, parameter_count, standard
from tests.support.samples.network_samples import chain, network


def output_shape(kind, input_shape, **parameters):
    one = chain((kind, parameters), input_shape=input_shape)
    return one.shapes()[one.outputs()[0]]


@pytest.mark.parametrize(
    "parameters, expected",
    [
        ({"kernel_size": 5}, (20, 24, 30)),
        ({"kernel_size": [5, 3]}, (20, 24, 32)),
        ({"kernel_size": 3, "stride": 2}, (20, 13, 16)),
        ({"kernel_size": 3, "pad": 1}, (20, 28, 34)),
        ({"kernel_size": 3, "dilation": 2}, (20, 24, 30)),
        ({"kernel_size": 4, "pad": 1, "stride": 3}, (20, 9, 11)),
        ({"kernel_size": 5, "stride": 2, "pad_mode": "EXPLICIT"}, (20, 12, 15)),
    ],
)
def test_a_convolution_rounds_its_size_down(parameters, expected):
    assert output_shape("Convolution", (3, 28, 34), num_output=20, **parameters) == expected


@pytest.mark.parametrize(
    "parameters, expected",
    [
        ({"kernel_size": 5}, (20, 28, 33)),
        ({"kernel_size": 3, "stride": 2}, (20, 14, 17)),
        ({"kernel_size": [1, 7], "stride": [3, 5], "dilation": 2}, (20, 10, 7)),
    ],
)
def test_a_convolution_padded_as_in_tensorflow_divides_the_size_by_its_stride_rounded_up(parameters, expected):
    assert output_shape("Convolution", (3, 28, 33), num_output=20, pad_mode="SAME", **parameters) == expected


@pytest.mark.parametrize(
    "size, parameters, expected",
    [
        (24, {"kernel_size": 2, "stride": 2}, 12),
        (112, {"kernel_size": 3, "stride": 2}, 56),
        (13, {"kernel_size": 3, "stride": 2}, 6),
        (14, {"kernel_size": 3, "stride": 2}, 7),
        (7, {"kernel_size": 2, "stride": 2, "pad": 1}, 4),
        (6, {"kernel_size": 2, "stride": 2, "pad": 1}, 4),
        (5, {"kernel_size": 2, "stride": 2, "pad": 1}, 3),
        (14, {"kernel_size": 3, "stride": 1, "pad": 1}, 14),
        (9, {"global_pooling": True}, 1),
    ],
)
def test_pooling_rounds_its_size_up_but_starts_no_window_beyond_the_image(size, parameters, expected):
    assert output_shape("Pooling", (4, size, size), **parameters) == (4, expected, expected)


def test_an_inner_product_reads_the_whole_image():
    one = chain(("InnerProduct", {"num_output": 7}), input_shape=(3, 4, 5))
    assert one.shapes()["innerproduct1"] == (7,)
    assert parameter_count(one) == 7 * 60 + 7


def test_each_group_of_a_convolution_reads_its_share_of_the_input_channels():
    grouped = chain(("Convolution", {"num_output": 6, "kernel_size": 3, "group": 3, "bias_term": False}))
    assert parameter_count(grouped) == 6 * 1 * 3 * 3


def test_a_batch_norm_has_no_parameters_and_a_scale_layer_has_two_for_each_channel():
    assert parameter_count(chain(("BatchNorm", {}), ("Scale", {"bias_term": True}))) == 6


def test_a_concat_layer_adds_up_the_channels():
    joined = network(
        Layer("a", "Convolution", ("data",), ("a",), {"num_output": 4, "kernel_size": 1}),
        Layer("b", "Concat", ("data", "a"), ("b",)),
    )
    assert joined.shapes()["b"] == (7, 8, 8)


def test_lenet_has_the_published_number_of_parameters():
    assert parameter_count(standard("lenet", (1, 28, 28), 10)) == 431_080


def test_lenet_is_the_published_network_with_the_scale_that_digits_adds():
    lenet = standard("lenet", (1, 28, 28), 10)
    assert [layer.type for layer in lenet.layers] == [
        "Data", "Power", "Convolution", "Pooling", "Convolution", "Pooling", "InnerProduct", "ReLU", "InnerProduct",
        "SoftmaxWithLoss", "Accuracy", "Softmax",
    ]  # fmt: skip
    assert lenet.layers[1].parameters == {"scale": 0.0125}
    assert lenet.outputs("deploy") == ["softmax"]
    assert lenet.shapes("deploy")["softmax"] == (10,)
    assert lenet.outputs("val") == ["loss", "accuracy"]


def test_biases_of_lenet_learn_twice_as_fast_and_decay_as_weights_do():
    weights = {w.name: w.multipliers for w in standard("lenet", (1, 28, 28), 10).weights()}
    assert (weights["conv1.weight"].lr_mult, weights["conv1.weight"].decay_mult) == (1, 1)
    assert (weights["conv1.bias"].lr_mult, weights["conv1.bias"].decay_mult) == (2, 1)
