"""What write makes of a network, read gives back."""

import pytest

from models_app.networks import STANDARD, Layer, Multipliers, Network, prototxt, standard
from tests.network_samples import DATA

# Large enough for each network, no larger.
SIZES = {"lenet": 20, "alexnet": 67, "googlenet": 96, "vgg16": 32}


@pytest.mark.parametrize("name", STANDARD)
def test_every_standard_network_is_read_as_it_was_written(name):
    size = SIZES.get(name, 64)
    network = standard(name, (3, size, size), 6)
    assert prototxt.read(prototxt.write(network), (3, size, size), 6) == network


@pytest.mark.parametrize("name", ["alexnet", "lenet"])
def test_what_is_cropped_is_read_for_images_as_large_as_before(name):
    network = standard(name, (3, 90, 80), 6, crop_size=75)
    assert prototxt.read(prototxt.write(network), (3, 90, 80), 6) == network


@pytest.mark.parametrize(
    "phases, said",
    [
        (("train", "val", "deploy"), ""),
        (("train",), 'include { stage: "train" }'),
        (("deploy",), 'include { stage: "deploy" }'),
        (("train", "val"), 'exclude { stage: "deploy" }'),
        (("val", "deploy"), 'exclude { stage: "train" }'),
        (("train", "deploy"), 'exclude { stage: "val" }'),
    ],
)
def test_rules_say_the_phases_of_a_layer(phases, said):
    relu = Layer("relu", "ReLU", ("data",), ("relu",), phases=phases)
    text = prototxt.write(Network("n", (3, 8, 8), (DATA, Layer("exp", "Power", ("data",), ("exp",)), relu)))
    assert [line.strip() for line in text.split('"relu"')[-1].splitlines() if "stage" in line] == [said] * bool(said)
    assert prototxt.read(text, (3, 8, 8)).layers[-1] == relu


def test_names_and_settings_of_any_kind_survive():
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
    network = Network('the "network"', (3, 8, 8), (DATA, convolution))
    assert prototxt.read(prototxt.write(network), (3, 8, 8)) == network


def test_a_network_with_an_input_of_its_own_for_deployment_keeps_it():
    data = Layer("data", "Data", (), ("data", "label"), phases=("train", "val"))
    picture = Layer("in", "Input", (), ("data",), phases=("deploy",))
    network = Network("n", (3, 8, 8), (data, picture, Layer("relu", "ReLU", ("data",), ("relu",))))
    text = prototxt.write(network)
    assert "input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }" in text
    assert prototxt.read(text, (3, 8, 8)) == network
