"""Standard networks: published sizes, minimum image sizes, and equal scores in ONNX Runtime and in the engine."""

import math

import numpy as np
import pytest

from models_app.networks import STANDARD, BadNetwork, default_batch_size, parameter_count, standard
from models_app.networks.published import StandardNetwork, register
from models_app.networks.published.lenet import lenet
from tests.models_app.networks.test_onnx_layers import onnx_outputs
from tests.support.samples.engine_samples import engine_of, random_images

LEARNED = {  # learnable parameters of the published networks, for 1,000 categories
    "alexnet": 60_965_224,
    "googlenet": 6_998_552,  # without the auxiliary classifiers
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "mobilenet_v2": 3_504_872,
    "squeezenet": 1_235_496,
    "efficientnet_lite0": 4_652_008,
    "alexnet_torch": 61_100_840,
    "googlenet_torch": 6_624_904,  # without the auxiliary classifiers
    "resnet18_torch": 11_689_512,
    "resnet50_torch": 25_557_032,
}
MIN_SIDE = {
    "alexnet": 55, "googlenet": 79, "vgg16": 17, "resnet18": 5, "resnet50": 5, "squeezenet": 25, "alexnet_torch": 63,
}  # fmt: skip
DOES_NOT_FIT = {
    "alexnet": "layer pool5: 3×3 kernel does not fit a 2×2 input",
    "googlenet": "layer loss1/ave_pool: 5×5 kernel does not fit a 4×4 input",
    "vgg16": "layer pool5: 2×2 kernel does not fit a 1×1 input",
    "resnet18": "layer pool1: 3×3 kernel does not fit a 2×2 input",
    "resnet50": "layer pool1: 3×3 kernel does not fit a 2×2 input",
    "squeezenet": "layer pool5: 3×3 kernel does not fit a 2×2 input",
    "alexnet_torch": "layer pool5: 3×3 kernel does not fit a 2×2 input",
}
# With batch normalisation, which needs more than a few pixels of two images.
NORMED = {
    "resnet18", "resnet50", "mobilenet_v2", "efficientnet_lite0", "googlenet_torch", "resnet18_torch", "resnet50_torch",
}  # fmt: skip


def count_learned(network, phase):
    return sum(math.prod(w.shape) for node in network.nodes(phase) for w in node.weights if w.learned)


@pytest.mark.parametrize("name, count", LEARNED.items())
def test_a_standard_network_has_as_many_parameters_as_published(name, count):
    assert count_learned(standard(name, (3, 256, 256), 1000), "deploy") == count


def test_the_published_parameter_counts_cover_every_standard_network_but_lenet():
    assert set(LEARNED) == set(STANDARD) - {"lenet"}


@pytest.fixture
def registered_network():
    """Registers a network lenet5, which crops images to 28×28 and has a batch size of 7."""
    yield register(StandardNetwork("lenet5", lenet, batch_size=7, size=28))
    del STANDARD["lenet5"]


def test_a_registered_network_is_built_by_its_name_with_its_own_crop_size_and_batch_size(registered_network):
    assert standard("lenet5", (1, 32, 32), 10).input_shape == (1, 28, 28)
    assert default_batch_size("lenet5") == 7


def test_a_second_network_of_one_name_is_refused():
    with pytest.raises(ValueError, match="a standard network 'lenet' is registered already"):
        register(StandardNetwork("lenet", lenet, batch_size=7, size=28))


@pytest.fixture(scope="module", params=LEARNED)
def begun(engine_name, request):
    """A standard network from scratch after two batches, its engine, and the loss of the first batch."""
    side, batch = (64, 8) if request.param in NORMED else (MIN_SIDE[request.param], 2)
    network = standard(request.param, (3, side, side), 5)
    engine = engine_of(network, batch_size=batch, mean=np.full((3, 1, 1), 127.5, np.float32))
    engine.load_weights(network.initial_weights(1))
    losses = []
    for seed in range(2):
        engine.train_batch(random_images(network, batch, seed), np.arange(batch, dtype=np.float32) % 5, 0.001)
        losses.append(engine.training_scores().loss)
    return network, engine, losses[0]


def test_a_standard_network_and_its_onnx_model_give_equal_scores_after_two_batches(begun, tmp_path):
    network, engine, _ = begun
    images = random_images(network, 2, seed=7)
    engine.export(tmp_path / "model.onnx", engine.weights(), [], {}, network.input_shape)
    expected, got = engine.forward(images)["softmax"], onnx_outputs(tmp_path / "model.onnx", images)["softmax"]
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert got.reshape(2, -1).sum(axis=1) == pytest.approx([1, 1])
    assert np.ptp(expected[0]) > 1e-3
    assert np.abs(expected[0] - expected[1]).max() > 1e-6  # the scores depend on the image


def test_training_from_scratch_begins_with_a_moderate_loss(begun):
    assert begun[2] < 12


@pytest.mark.parametrize("name, side", MIN_SIDE.items())
def test_a_standard_network_takes_images_of_its_minimum_size_and_refuses_smaller_ones(name, side):
    assert standard(name, (1, side, side), 2).input_shape == (1, side, side)
    with pytest.raises(BadNetwork) as raised:
        standard(name, (1, side - 1, side - 1), 2)
    assert str(raised.value) == DOES_NOT_FIT[name]


@pytest.mark.parametrize(
    "image_shape, crop_size, input_shape",
    [
        ((3, 256, 300), None, (3, 227, 227)),
        ((3, 227, 227), None, (3, 227, 227)),
        ((3, 226, 300), None, (3, 226, 300)),
        ((3, 256, 300), 100, (3, 100, 100)),
        ((3, 256, 300), 0, (3, 256, 300)),
    ],
)
def test_a_standard_network_crops_larger_images_to_its_own_size_unless_a_crop_size_is_given(
    image_shape, crop_size, input_shape
):
    assert standard("alexnet", image_shape, 2, crop_size).input_shape == input_shape


@pytest.mark.parametrize("crop_size", [101, -1])
def test_a_crop_size_outside_of_the_images_is_refused(crop_size):
    with pytest.raises(BadNetwork, match="crop_size must be from 1 to the size of the images, 100×120, not "):
        standard("alexnet", (3, 100, 120), 2, crop_size)


def test_the_data_layer_holds_crop_size_and_mirror():
    assert standard("alexnet", (3, 256, 256), 2).layers[0].parameters == {"crop_size": 227, "mirror": True}
    assert standard("alexnet", (3, 64, 64), 2).layers[0].parameters == {"mirror": True}
    assert standard("lenet", (1, 28, 28), 2).layers[0].parameters == {}
    assert standard("lenet", (1, 28, 28), 2, 24).layers[0].parameters == {"crop_size": 24}


def test_the_auxiliary_losses_of_googlenet_count_in_training_only_with_weight_three_tenths():
    network = standard("googlenet", (3, 224, 224), 10)
    losses = {node.layer.name: node.kind.loss_weight for node in network.nodes("train") if "Loss" in node.layer.type}
    assert losses == {"loss1/loss": 0.3, "loss2/loss": 0.3, "loss": 1.0}
    assert [node.layer.name for node in network.nodes("val") if "Loss" in node.layer.type] == ["loss"]
    assert count_learned(network, "val") == count_learned(network, "deploy") < parameter_count(network)


@pytest.mark.parametrize(
    "name, shapes",
    [
        ("alexnet", {"conv2.weight": (256, 48, 5, 5), "fc6.weight": (4096, 9216), "fc8.bias": (1000,)}),
        ("googlenet", {"conv1/7x7_s2.weight": (64, 3, 7, 7), "inception_3a/5x5.weight": (32, 16, 5, 5),
                       "inception_5b/pool_proj.bias": (128,), "loss3/classifier.weight": (1000, 1024)}),
        ("vgg16", {"conv5_3.weight": (512, 512, 3, 3), "fc6.weight": (4096, 25088), "fc7.bias": (4096,)}),
        ("resnet50", {"conv1.weight": (64, 3, 7, 7), "scale_conv1.bias": (64,), "bn2a_branch1.mean": (256,),
                      "res3a_branch2a.weight": (128, 256, 1, 1), "scale5c_branch2c.weight": (2048,)}),
        ("squeezenet", {"fire9/expand3x3.weight": (256, 64, 3, 3), "conv10.weight": (1000, 512, 1, 1)}),
    ],
)  # fmt: skip
def test_layers_are_named_as_in_the_published_caffe_models_so_that_their_weights_fit(name, shapes):
    found = {weight.name: weight.shape for weight in standard(name, (3, 256, 256), 1000).weights()}
    assert {weight: found[weight] for weight in shapes} == shapes


def test_a_resnet_of_torchvision_halves_the_image_where_its_library_does():
    shapes = standard("resnet50_torch", (3, 224, 224), 10).shapes()
    assert (shapes["pool1"], shapes["res3a_branch2a"], shapes["res3a_branch2b"]) == (
        (64, 56, 56),
        (128, 56, 56),
        (128, 28, 28),
    )


def test_a_resnet_block_that_halves_the_image_does_so_in_both_branches():
    shapes = standard("resnet50", (3, 224, 224), 10).shapes()
    assert (shapes["pool1"], shapes["res2c"]) == ((64, 56, 56), (256, 56, 56))
    assert shapes["res3a_branch1"] == shapes["res3a"] == (512, 28, 28)
    assert (shapes["res5c"], shapes["pool5"]) == ((2048, 7, 7), (2048, 1, 1))
