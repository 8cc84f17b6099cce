"""Warnings about networks whose images are far larger or smaller than those they were designed for."""

import pytest

from models_app.networks import STANDARD, standard
from models_app.networks.size_warnings import size_warnings


def warnings_of(name: str, side: int) -> list[str]:
    return size_warnings(standard(name, (3, side, side), 10, 0), STANDARD[name].size)


def test_lenet_at_256_pixels_is_warned_of_with_its_weights_and_what_to_do():
    (warning,) = warnings_of("lenet", 256)
    assert warning.startswith(
        "With images of 256×256, layer ip1 of LeNet has 93,025,500 weights, which take 0.37 GB in each snapshot and "
        "several times as much memory. It was designed for 28×28. A smaller input_size, or"
    )


def test_a_network_that_sees_next_to_nothing_is_warned_of():
    (warning,) = warnings_of("resnet18", 32)
    assert warning == (
        "ResNet-18 was designed for images of 224×224; at 32×32 its last convolution sees only 1×1 values. "
        "A larger input_size, such as 56, scales the images up."
    )


@pytest.mark.parametrize("name", STANDARD)
def test_no_network_is_warned_of_at_the_size_that_it_was_designed_for(name):
    assert warnings_of(name, STANDARD[name].size) == []


@pytest.mark.parametrize("name, side", [("lenet", 64), ("resnet18", 64), ("vgg16", 256), ("efficientnet_lite0", 96)])
def test_a_usual_size_is_not_warned_of(name, side):
    assert warnings_of(name, side) == []


def test_a_network_of_unknown_design_is_warned_of_for_its_weights_only():
    lenet = standard("lenet", (3, 256, 256), 10)
    assert len(size_warnings(lenet)) == 1
    assert size_warnings(standard("resnet18", (3, 32, 32), 10)) == []
