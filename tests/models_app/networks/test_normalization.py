"""A network's own normalization: kept with the network, applied by the engine and inside model.onnx."""

from dataclasses import replace

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.networks import STANDARD, BadNetwork, Network, standard
from models_app.networks.export.network_onnx import write_onnx
from models_app.networks.normalization import HALF, IMAGENET, Normalization
from models_app.networks.retrain import retrained
from models_app.training.data.crops import layout_of
from models_app.training.data.mean_pixels import normalization
from models_app.training.snapshots.snapshot_reader import load_weights
from models_app.training.trainer import train
from tests.models_app.networks.test_onnx_layers import onnx_outputs
from tests.support.samples.engine_samples import engine_of
from tests.support.samples.network_samples import chain
from tests.support.samples.training_samples import config_of, events_of_kind, softmax_network, write_digits_dataset

GRAY = Normalization((7.0,), (3.0,))


def test_every_standard_network_but_lenet_has_a_normalization_for_colours_and_one_for_gray_images():
    sides = {"alexnet": 67, "googlenet": 96, "vgg16": 32}
    missing = {
        channels: [n for n in STANDARD if not standard(n, (channels, *[sides.get(n, 64)] * 2), 5).normalization]
        for channels in (1, 2, 3)
    }
    assert missing == {1: ["lenet"], 2: list(STANDARD), 3: ["lenet"]}


def test_gray_images_get_the_average_of_the_colours():
    gray = IMAGENET.for_channels(1)
    assert gray.mean == pytest.approx((114.495,), abs=1e-3)
    assert gray.std == pytest.approx((57.63,), abs=1e-2)
    assert IMAGENET.for_channels(3) is IMAGENET
    assert IMAGENET.for_channels(4) is None


def test_a_network_is_read_back_from_json_with_its_normalization():
    own = replace(softmax_network(), normalization=GRAY)
    assert Network.from_dict(own.to_dict()) == own
    assert Network.from_dict(softmax_network().to_dict()).normalization is None
    assert "normalization" not in softmax_network().to_dict()


@pytest.mark.parametrize(
    "wrong", [{"mean": [1], "std": [0]}, {"mean": [1, 2], "std": [1]}, {"mean": [], "std": []}, {"mean": [1]},
              {"mean": ["a"], "std": [1]}, {"mean": 1, "std": 1}, {"mean": [1], "std": [float("nan")]}],
)  # fmt: skip
def test_a_normalization_that_is_none_is_refused(wrong):
    with pytest.raises(BadNetwork):
        Network.from_dict(softmax_network().to_dict() | {"normalization": wrong})


def test_a_network_for_another_dataset_keeps_its_normalization():
    colours = replace(chain(("InnerProduct", {"num_output": 5}), input_shape=(3, 8, 8)), normalization=HALF)
    assert retrained(colours, (3, 9, 9)).normalization == HALF
    assert retrained(colours, (1, 9, 9)).normalization == Normalization((127.5,), (127.5,))


@pytest.mark.usefixtures("engine_name")
def test_engine_and_onnx_normalize_each_channel_of_the_middle_window_alike(tmp_path):
    network = replace(chain(("Power", {}), input_shape=(3, 8, 8)), normalization=IMAGENET)
    trained = replace(softmax_network(input_shape=(3, 8, 8)), normalization=IMAGENET).to_dict()
    config = config_of(tmp_path, tmp_path, network=trained, image_shape=(3, 10, 12), use_mean="network")
    mean, scale = normalization(config, network, layout_of(network, config.image_shape, 10))
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 10, 12), dtype=np.uint8)
    middle = images[:, :, 1:9, 2:10]
    by_channel = (1, 3, 1, 1)
    expected = (middle - np.reshape(IMAGENET.mean, by_channel)) / np.reshape(IMAGENET.std, by_channel)
    write_onnx(network, {}, tmp_path / "model.onnx", mean, [], image_shape=(3, 10, 12), scale=scale)
    np.testing.assert_allclose(onnx_outputs(tmp_path / "model.onnx", images)["power1"], expected, atol=1e-5)
    engine = engine_of(network, mean=mean, scale=scale)
    np.testing.assert_allclose(engine.forward(middle)["power1"], expected, atol=1e-5)


@pytest.mark.usefixtures("engine_name")
def test_a_training_needs_no_mean_image_for_the_networks_own_normalization(tmp_path):
    dataset = write_digits_dataset(tmp_path)
    network = replace(softmax_network(scale=1.0), normalization=GRAY)
    fields = {"network": network.to_dict(), "use_mean": "network", "mean_file": None, "learning_rate": 1e-30}
    events = []
    train(config_of(dataset, tmp_path / "model", **fields), events.append, lambda: None)
    assert all(event["max_difference"] < 1e-4 for event in events_of_kind(events, "snapshot"))
    images = np.random.default_rng(0).integers(0, 17, (4, 1, 8, 8), dtype=np.uint8)
    folder = tmp_path / "model/snapshots/epoch-2"
    weights = load_weights(folder, ["ip.weight", "ip.bias"])
    scores = ((images - 7.0) / 3.0).reshape(4, 64) @ weights["ip.weight"].T + weights["ip.bias"]
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(onnx_outputs(folder / "model.onnx", images)["softmax"], expected, atol=1e-4)


def test_a_network_without_a_normalization_of_its_own_is_refused(tmp_path):
    with pytest.raises(BadInput, match="use_mean is network, but the network has no normalization of its own"):
        config_of(tmp_path, tmp_path, use_mean="network")
