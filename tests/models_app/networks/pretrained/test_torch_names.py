"""The names of PyTorch's libraries, on files of random weights under these names."""

import numpy as np
import pytest

from models_app.networks import standard
from models_app.networks.pretrained.torch_names import NAMINGS, Naming
from models_app.training.starting_weights import starting_weights
from tests.support.samples.tensor_file_samples import write_safetensors, write_torch

SIDES = {"vgg16": 32}
WHOLE = [naming for naming in NAMINGS if naming.network not in ("alexnet_torch", "vgg16", "resnet50_torch")]
IDS = [f"{naming.network} of {naming.library}" for naming in NAMINGS]


def network_of(naming: Naming, categories=5):
    side = SIDES.get(naming.network, 64)
    return standard(naming.network, (3, side, side), categories)


def tensors_of(naming: Naming, categories=5) -> dict[str, np.ndarray]:
    """Random tensors under the library's names, in the shapes of our network."""
    rng, names = np.random.default_rng(3), naming.names()
    return {
        names[weight.name]: rng.random(weight.shape, np.float32)
        for weight in network_of(naming, categories).weights()
        if weight.name in names
    }


@pytest.mark.parametrize("naming", NAMINGS, ids=IDS)
def test_a_naming_has_a_tensor_for_every_weight_but_the_factors_of_averages(naming):
    names = naming.names()
    unnamed = {weight.spec.role for weight in network_of(naming).weights() if weight.name not in names}
    assert unnamed <= {"factor"}
    assert len(set(names.values())) == len(names)


@pytest.mark.parametrize("naming", WHOLE, ids=[f"{naming.network} of {naming.library}" for naming in WHOLE])
def test_weights_with_a_librarys_names_are_taken_over_by_every_layer(naming, tmp_path):
    tensors, names = tensors_of(naming), naming.names()
    start = starting_weights(network_of(naming), 5, str(write_safetensors(tmp_path / "w.safetensors", tensors)))
    assert (start.afresh, start.warnings) == ((), ())
    for weight in network_of(naming).weights():
        expected = tensors[names[weight.name]] if weight.name in names else np.ones(1, np.float32)
        assert (start.arrays[weight.name] == expected).all(), weight.name


def test_a_head_for_other_categories_starts_afresh_and_says_why(tmp_path):
    naming = NAMINGS[1]
    path = write_torch(tmp_path / "w.pth", tensors_of(naming, categories=7))
    start = starting_weights(network_of(naming), 5, str(path))
    assert start.afresh == ("fc",)
    assert start.warnings == (
        "Layer fc starts with random weights: its shapes are 7×1280 and 7 in the file, 5×1280 and 5 in the network",
    )


def test_tensors_without_a_layer_here_are_named(tmp_path):
    naming = NAMINGS[1]
    tensors = tensors_of(naming, categories=7) | {"aux.weight": np.zeros((2, 2), np.float32)}
    start = starting_weights(network_of(naming), 5, str(write_torch(tmp_path / "w.pth", tensors)))
    assert start.warnings[-1] == "The file has layers that the network does not have: aux"


def test_the_counters_of_batches_are_not_mentioned(tmp_path):
    naming = NAMINGS[1]
    tensors = tensors_of(naming, categories=7) | {"bn1.num_batches_tracked": np.array(3)}
    start = starting_weights(network_of(naming), 5, str(write_torch(tmp_path / "w.pth", tensors)))
    assert len(start.warnings) == 1


def test_a_convolution_of_a_whole_image_gives_its_weights_to_an_inner_product(tmp_path):
    naming = next(naming for naming in NAMINGS if naming.library == "timm" and naming.network == "vgg16")
    network, names = network_of(naming), naming.names()
    wanted = {weight.name: weight.shape for weight in network.weights()}
    tensors = {
        names["fc6.weight"]: np.arange(4096 * 512, dtype=np.float32).reshape(4096, 512, 1, 1),
        names["fc6.bias"]: np.zeros(4096, np.float32),
    }
    start = starting_weights(network, 5, str(write_safetensors(tmp_path / "w.safetensors", tensors)))
    assert start.taken_over == ("fc6",)
    assert (start.arrays["fc6.weight"] == np.arange(4096 * 512).reshape(wanted["fc6.weight"])).all()
