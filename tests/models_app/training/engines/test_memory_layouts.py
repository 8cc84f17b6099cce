"""Which BatchNorm layers of a network get values without oneDNN's blocks in their backward pass."""

import pytest

from models_app.networks import Layer, standard
from models_app.training.engines.mxnet.layer_builders import build
from models_app.training.engines.mxnet.memory_layouts import mixed_layouts
from tests.support.samples.network_samples import network


def convolution(name: str, bottom: str, channels: int) -> Layer:
    return Layer(name, "Convolution", (bottom,), (name,), {"num_output": channels, "kernel_size": 3})


def norm(name: str, value: str) -> Layer:
    return Layer(name, "BatchNorm", (value,), (value,))


def test_a_network_whose_channels_are_multiples_of_16_has_none():
    assert mixed_layouts(standard("resnet18", (3, 64, 64), 10)) == set()


def test_mobilenet_has_them_around_its_convolutions_with_24_channels():
    names = mixed_layouts(standard("mobilenet_v2", (3, 64, 64), 10))
    assert {name.split("/")[0] for name in names} == {"block2", "block3", "block4"}


@pytest.mark.parametrize(
    "channels, expected",
    [((16, 32), set()), ((24, 32), {"a_norm", "b_norm"}), ((32, 24), {"a_norm", "b_norm"})],
)
def test_a_convolution_with_other_channels_concerns_the_norms_before_and_behind_it(channels, expected):
    first, second = channels
    layers = (
        convolution("a", "data", first),
        norm("a_norm", "a"),
        Layer("relu", "ReLU", ("a",), ("a",)),
        Layer("pool", "Pooling", ("a",), ("pool",), {"kernel_size": 2, "stride": 2}),
        convolution("b", "pool", second),
        norm("b_norm", "b"),
    )
    assert mixed_layouts(network(*layers)) == expected


def test_a_convolution_further_away_does_not_matter():
    layers = (
        convolution("a", "data", 16),
        norm("a_norm", "a"),
        convolution("b", "a", 32),
        convolution("c", "b", 24),
        norm("c_norm", "c"),
    )
    assert mixed_layouts(network(*layers)) == {"c_norm"}


def test_only_the_training_phase_copies_values():
    sample = standard("mobilenet_v2", (3, 64, 64), 10)
    copies = {
        phase: build(sample, phase, None).values["fc"].tojson().count('"slice_axis"') for phase in ("train", "val")
    }
    assert copies == {"train": 6, "val": 0}
