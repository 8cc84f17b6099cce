"""Explanations of predictions: over REST, on the page, and of a trained network."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

from inference import services
from inference.engine.predictor import Predictor
from inference.engine.saliency import occlusion_map
from inference.explanations import CAM, OCCLUSION, explain
from models_app.networks import Layer, Network
from models_app.networks.export.network_onnx import write_onnx
from models_app.training.snapshots.onnx_arrays import onnx_weights
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.samples.picture_samples import decode_picture
from tests.support.samples.row_samples import add_snapshot, with_categories

pytestmark = pytest.mark.django_db
ONE = "/models/images/classification/classify_one"


def test_the_response_has_a_map_of_the_best_category_if_the_query_requests_it(post, image):
    response = post(f"{ONE}.json?explain=1").json()
    explanation = response["explanation"]
    assert list(response) == ["predictions", "explanation"]
    assert explanation["category"] == next(iter(response["predictions"]))
    assert explanation["method"] == OCCLUSION
    assert np.shape(explanation["grid"]) == (28, 28)
    colours, pixels = (decode_picture(explanation[name]) for name in ("png", "image"))
    assert (colours.size, colours.mode) == ((28, 28), "RGBA")
    assert np.array_equal(pixels, Image.open(image))
    assert 0 <= explanation["deletion"] <= 1
    assert list(post(f"{ONE}.json?explain=0").json()) == ["predictions"]


def test_another_category_can_be_explained_and_an_unknown_one_is_refused(post):
    assert post(f"{ONE}.json?explain=1&explain_category=7").json()["explanation"]["category"] == "7"
    response = post(f"{ONE}.json?explain=1&explain_category=cat")
    assert response.status_code == 400
    assert response.json()["error"]["description"] == "explain_category: lenet has no category cat."


def test_the_page_lays_the_map_over_the_image(post):
    page = post(ONE, show_explanation="1", headers={"Accept": "text/html"}).content.decode()
    assert "What speaks for" in page
    assert page.count("data:image/png;base64,") == 2
    assert "What speaks for" not in post(ONE, headers={"Accept": "text/html"}).content.decode()


def test_a_network_without_weights_has_a_map(make_dataset, make_model):
    dataset = with_categories(make_dataset(resize_channels=3), ["red", "green", "blue"])
    layers = [
        Layer("data", "Data", (), ("data",)),
        Layer("pool", "Pooling", ("data",), ("pool",), {"pool": "AVE", "global_pooling": True}),
        Layer("softmax", "Softmax", ("pool",), ("softmax",)),
    ]
    snapshot = add_snapshot(make_model(dataset), 1, seed=1, network=Network("colours", (3, 28, 28), layers))
    pixels = np.zeros((28, 28, 3), np.uint8)
    pixels[2, 7] = (0, 255, 0)
    explanation = explain(snapshot, pixels)
    assert (explanation["category"], np.array(explanation["grid"]).argmax()) == ("green", 2 * 28 + 7)


@pytest.mark.parametrize("network", ["squeezenet", "mobilenet_v2"])
def test_a_network_that_ends_in_global_pooling_has_an_exact_class_activation_map(network, make_dataset, make_model):
    dataset = with_categories(make_dataset(resize_width=72, resize_height=64, resize_channels=3))
    model = make_model(dataset, standard_network=network, crop_size=48)
    snapshot = add_snapshot(model, 1, seed=1)
    pixels = np.random.default_rng(1).integers(0, 256, (64, 72, 3), dtype=np.uint8)
    explanation = explain(snapshot, pixels)
    assert explanation["method"] == CAM
    assert np.shape(explanation["grid"]) == (32, 32)


def read_image(path):
    return np.asarray(Image.open(path))[:, :, None]


@pytest.fixture
def pairs(tmp_path):
    """Images of two digits side by side. The right one is the category."""
    digits = write_28_pixel_digits(tmp_path / "digits", each=30)
    rng = np.random.default_rng(1)
    names = [f"{digit}/{number}.png" for digit in range(10) for number in range(30)]
    for name in names:
        pair = [read_image(digits / one)[:, :, 0] for one in (rng.choice(names), name)]
        (tmp_path / "pairs" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(pair, axis=1)).save(tmp_path / "pairs" / name)
    return tmp_path / "pairs"


@pytest.fixture
def trained(pairs, make_built, make_model, run_training_task):
    """The snapshot of a LeNet that tells the right digit."""
    dataset = make_built(folder_train=str(pairs), resize_width=56)
    model = make_model(dataset, train_epochs=8)
    return run_training_task(model).newest_snapshot


def maps_of(scores, images, categories):
    return [occlusion_map(scores, image, category) for image, category in zip(images, categories, strict=True)]


def shuffled(snapshot, path):
    """A network with the weights of a snapshot, those of each layer in another order."""
    rng, weights = np.random.default_rng(1), onnx_weights(snapshot.onnx_file)
    weights = {name: rng.permutation(array.ravel()).reshape(array.shape) for name, array in weights.items()}
    model = snapshot.trained_model
    write_onnx(model.network(), weights, path, None, model.dataset.categories, image_shape=model.dataset.image_shape)
    return Predictor(path)


def test_of_two_digits_the_map_peaks_at_the_one_that_decides_and_depends_on_the_weights(trained, pairs, tmp_path):
    categories = [digit for digit in range(10) for _ in range(2)]
    images = [read_image(pairs / str(digit) / f"{number % 2}.png") for number, digit in enumerate(categories)]
    found = maps_of(partial(services.scores, trained, services.predictor(trained)), images, categories)
    peaks = [np.unravel_index(one.argmax(), one.shape)[1] for one in found]
    assert np.mean([peak >= 28 for peak in peaks]) >= 0.95
    without_knowledge = maps_of(shuffled(trained, tmp_path / "shuffled.onnx").scores, images, categories)
    pairs_of_maps = zip(found, without_knowledge, strict=True)
    correlations = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in pairs_of_maps]
    assert np.mean(correlations) < 0.2
