"""prototxt.write: read() turns the text back into an equal network."""

from dataclasses import replace

import pytest

from models_app.networks import STANDARD, Layer, Multipliers, Network, prototxt, standard
from tests.models_app.networks.test_onnx_layers import SAMPLES
from tests.support.samples.network_samples import DATA, network

# Image sides that are just large enough for each network.
SIZES = {"lenet": 20, "alexnet": 67, "googlenet": 96, "vgg16": 32}


@pytest.mark.parametrize("name", STANDARD)
def test_every_standard_network_is_read_as_it_was_written(name):
    size = SIZES.get(name, 64)
    # Caffe's text has no fields for the two.
    net = replace(standard(name, (3, size, size), 6), normalization=None, resizing=None)
    assert prototxt.read(prototxt.write(net), (3, size, size), 6) == net


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_every_layer_type_is_read_as_it_was_written(sample):
    assert prototxt.read(prototxt.write(sample), sample.input_shape) == replace(sample, resizing=None)


@pytest.mark.parametrize(
    "kind, parameters",
    [
        ("EuclideanLoss", {"loss_weight": 0.5}),
        ("SigmoidCrossEntropyLoss", {"loss_weight": 2, "normalization": "NONE", "ignore_label": -1}),
        ("SoftmaxWithLoss", {"loss_weight": 0.3, "ignore_label": 255, "normalization": "FULL", "axis": 1}),
        ("Accuracy", {"top_k": 2, "ignore_label": 3}),
    ],
)
def test_every_comparison_with_labels_is_read_as_it_was_written(kind, parameters):
    shape = (3, 8, 8) if kind in ("EuclideanLoss", "SigmoidCrossEntropyLoss") else (1, 8, 8)
    scores = Layer("x", "Convolution", ("data",), ("x",), {"num_output": 3, "kernel_size": 1})
    comparison = Layer("v", kind, ("x", "label"), ("v",), parameters, phases=("train", "val"))
    net = Network("n", (3, 8, 8), (DATA, scores, comparison), shape)
    assert prototxt.read(prototxt.write(net), (3, 8, 8), label_shape=shape) == net


@pytest.mark.parametrize("name", ["alexnet", "lenet"])
def test_a_cropping_network_is_read_as_it_was_written(name):
    net = replace(standard(name, (3, 90, 80), 6, crop_size=75), normalization=None, resizing=None)
    assert prototxt.read(prototxt.write(net), (3, 90, 80), 6) == net


@pytest.mark.parametrize(
    "phases, rule",
    [
        (("train", "val", "deploy"), ""),
        (("train",), 'include { stage: "train" }'),
        (("deploy",), 'include { stage: "deploy" }'),
        (("train", "val"), 'exclude { stage: "deploy" }'),
        (("val", "deploy"), 'exclude { stage: "train" }'),
        (("train", "deploy"), 'exclude { stage: "val" }'),
    ],
)
def test_include_and_exclude_rules_state_the_phases_of_a_layer(phases, rule):
    relu = Layer("relu", "ReLU", ("data",), ("relu",), phases=phases)
    text = prototxt.write(network(Layer("exp", "Exp", ("data",), ("exp",)), relu))
    assert [line.strip() for line in text.split('"relu"')[-1].splitlines() if "stage" in line] == [rule] * bool(rule)
    assert prototxt.read(text, (3, 8, 8)).layers[-1] == relu


def test_quoted_names_and_nested_parameters_are_read_as_they_were_written():
    convolution = Layer(
        'a "quoted" \\name/5×5',
        "Convolution",
        ("data",),
        ("out",),
        {
            "num_output": 2,
            "kernel_size": [3, 1],
            "bias_term": False,
            "weight_filler": {"type": "xavier", "variance_norm": "AVERAGE"},
            "bias_filler": {"type": "constant", "value": 1e-07},
        },
        (Multipliers(0.5, 0), Multipliers(2, 1)),
    )
    net = Network('the "network"', (3, 8, 8), (DATA, convolution))
    assert prototxt.read(prototxt.write(net), (3, 8, 8)) == net


def test_a_network_with_an_input_layer_for_deployment_is_read_as_it_was_written():
    data = Layer("data", "Data", (), ("data", "label"), phases=("train", "val"))
    picture = Layer("in", "Input", (), ("data",), phases=("deploy",))
    net = Network("n", (3, 8, 8), (data, picture, Layer("relu", "ReLU", ("data",), ("relu",))))
    text = prototxt.write(net)
    assert "input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }" in text
    assert prototxt.read(text, (3, 8, 8)) == net
