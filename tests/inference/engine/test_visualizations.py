"""show_visualizations: weights and activations of every layer, as statistics and as pictures."""

import json

import numpy as np
import pytest

from datasets.imagedb.images import decoding
from inference.engine import activations as activations_module
from inference.engine.activations import activations
from inference.engine.array_picture import SIDE, picture
from inference.engine.distribution import distribution
from inference.engine.predictor import Predictor
from models_app.networks import Layer, Network
from models_app.networks.export.network_onnx import write_onnx
from models_app.training.snapshots.onnx_arrays import onnx_weights
from tests.models_app.networks.test_onnx_layers import SAMPLES
from tests.support.samples.engine_samples import random_images, random_weights
from tests.support.samples.picture_samples import decode_picture
from tests.support.samples.row_samples import DIGITS

ONE = "/models/images/classification/classify_one"
INFER = "/models/images/generic/infer_one"


def by_name(entries, vis_type):
    """{name: entry} of the visualizations of one type."""
    return {entry["name"]: entry for entry in entries if entry["vis_type"] == vis_type}


@pytest.mark.django_db
def test_the_response_has_weights_and_activations_of_every_layer(post):
    response = post(f"{ONE}.json?visualizations=1").json()
    assert list(response) == ["predictions", "visualizations"]
    entries = response["visualizations"]
    assert list(by_name(entries, "Weights")) == ["conv1", "conv2", "ip1", "ip2"]
    assert list(by_name(entries, "Activation")) == [
        "data", "scaled", "conv1", "pool1", "conv2", "pool2", "ip1", "relu1", "ip2", "softmax",
    ]  # fmt: skip
    assert [entry["name"] for entry in entries][2:5] == ["conv1", "conv1", "pool1"]
    assert all(max(decode_picture(entry["image_html"]).size) <= SIDE for entry in entries)


@pytest.mark.django_db
def test_the_statistics_are_those_of_the_weights_and_activations(post, model, image):
    entries = post(f"{ONE}.json?visualizations=1").json()["visualizations"]
    weights = onnx_weights(model.newest_snapshot.onnx_file)
    conv1 = by_name(entries, "Weights")["conv1"]
    assert (conv1["layer_type"], conv1["param_count"]) == ("Convolution", 520)
    assert conv1["data_stats"] == distribution(weights["conv1.weight"])
    pixels = decoding.read_array(image, 28, 28, 1, "squash")
    scores = Predictor(model.newest_snapshot.onnx_file).scores(pixels[None])[0]
    made = by_name(entries, "Activation")
    assert made["softmax"]["data_stats"]["max"] == pytest.approx(scores.max(), rel=1e-4)
    assert made["data"]["data_stats"] == distribution(pixels.transpose(2, 0, 1))
    relu, before = made["relu1"]["data_stats"], made["ip1"]["data_stats"]
    assert (relu["min"], relu["max"]) == (0, before["max"])
    assert before["min"] < 0


@pytest.mark.django_db
def test_the_json_has_visualizations_only_if_the_query_requests_them(post):
    assert list(post(f"{ONE}.json", show_visualizations="y").json()) == ["predictions"]
    assert list(post(f"{ONE}.json?visualizations=0", show_visualizations="y").json()) == ["predictions"]
    assert list(post(f"{INFER}.json?visualizations=1").json()) == ["outputs", "visualizations"]


@pytest.mark.django_db
def test_a_query_value_that_is_no_boolean_is_refused_with_its_field(post):
    response = post(f"{ONE}.json?visualizations=maybe")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "visualizations")


@pytest.mark.django_db
@pytest.mark.parametrize("url", [ONE, INFER])
def test_the_page_shows_the_pictures_if_the_form_requests_them(post, url):
    page_with = post(url, show_visualizations="y", headers={"Accept": "text/html"}).content.decode()
    page_without = post(url, headers={"Accept": "text/html"}).content.decode()
    assert page_with.count('<img src="data:image/png;base64,') == 15
    assert page_without.count('<img src="data:image/png;base64,') == 1
    assert "relu1" in page_with


@pytest.mark.django_db
def test_the_page_lists_the_categories_with_their_confidence(post):
    best, percent = next(iter(post(f"{ONE}.json").json()["predictions"].items()))
    page = post(ONE, headers={"Accept": "text/html"}).content.decode()
    first = page.split('<ol class="predictions">')[1].split("</li>")[0]
    assert f"<b>{best}</b>" in first
    assert f">{percent:.2f}%<" in first


@pytest.fixture
def branched(tmp_path):
    """The path of model.onnx of a network of two branches, for images of 3×9×9."""
    layers = (
        Layer("data", "Data", (), ("data",)),
        Layer("pool", "Pooling", ("data",), ("pool",), {"kernel_size": 3, "stride": 3}),
        Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 5, "weight_filler": {"type": "xavier"}}),
    )
    network = Network("branched", (3, 9, 9), layers)
    write_onnx(network, network.initial_weights(1), tmp_path / "model.onnx", None, DIGITS)
    return tmp_path / "model.onnx"


@pytest.mark.parametrize("max_bytes", [1, 1 << 20])
def test_activations_keep_their_order_in_one_run_and_in_several(branched, monkeypatch, max_bytes):
    monkeypatch.setattr(activations_module, "MAX_BYTES_A_RUN", max_bytes)
    batch = np.random.default_rng(1).random((1, 3, 9, 9), np.float32)
    found = dict(activations(branched, ["ip/Gemm", "data", "pool/MaxPool"], {"data": batch}))
    assert {name: values.shape for name, values in found.items()} == {
        "data": (3, 9, 9), "ip/Gemm": (5,), "pool/MaxPool": (3, 3, 3),
    }  # fmt: skip
    np.testing.assert_array_equal(found["pool/MaxPool"], batch[0].reshape(3, 3, 3, 3, 3).max(axis=(2, 4)))


def test_a_distribution_equals_that_of_numpy():
    values = np.random.default_rng(1).normal(3, 2, (3, 50, 7)).astype(np.float32)
    found = distribution(values)
    assert found["shape"] == [3, 50, 7]
    measures = [found[name] for name in ("mean", "stddev", "min", "max")]
    np.testing.assert_allclose(measures, [values.mean(), values.std(), values.min(), values.max()], rtol=1e-5)
    counts, edges = np.histogram(values, 20)
    assert found["histogram"][0] == counts.tolist()
    np.testing.assert_allclose(found["histogram"][1], (edges[1:] + edges[:-1]) / 2, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found["histogram"][2], edges[[0, 10, 20]], rtol=1e-5)


def test_a_distribution_leaves_out_values_that_are_not_finite():
    found = distribution(np.array([1, np.inf, np.nan, 3], np.float32))
    assert (found["mean"], found["max"], sum(found["histogram"][0])) == (2, 3, 2)
    nothing = distribution(np.array([np.nan], np.float32))
    assert nothing == {"shape": [1], "mean": None, "stddev": None, "min": None, "max": None, "histogram": None}


def test_a_distribution_counts_the_largest_float32_values():
    largest = float(np.finfo(np.float32).max)
    found = distribution(np.array([-largest, -largest, largest, largest], np.float32))
    assert found["stddev"] == pytest.approx(largest, rel=1e-5)
    assert (found["mean"], found["histogram"][0][0], found["histogram"][0][-1]) == (0, 2, 2)
    pixels = np.asarray(decode_picture(picture(np.array([-largest, largest], np.float32))))
    assert pixels[0, [0, -1]].tolist() == [0, 255]


@pytest.mark.parametrize(
    "shape", [(), (10,), (4097,), (5, 2000), (20, 24, 24), (3, 500, 7), (600, 1, 1), (64, 32, 3, 3), (2, 3, 4, 5, 6)]
)
def test_a_picture_of_an_array_of_any_shape_is_small(shape):
    assert max(decode_picture(picture(np.ones(shape, np.float32))).size) <= SIDE


def test_tiles_are_drawn_in_order_and_the_largest_value_is_white():
    tiles = np.stack([np.full((8, 8), value, np.float32) for value in (-1, 0, 1)])
    pixels = np.asarray(decode_picture(picture(tiles)))
    half = len(pixels) // 2
    assert [pixels[2, 2], pixels[2, -3], pixels[-3, 2]] == [0, 128, 255]
    assert pixels[half, half] == 255
    assert np.asarray(decode_picture(picture(tiles, span=(0, 2))))[-3, 2] == 128


@pytest.mark.parametrize(
    "shape, size",
    [((10,), (169, 16)), ((4096,), (319, 319)), ((20, 4096), (316, 20)), ((2, 100, 50), (101, 100)), ((), (16, 16))],
)
def test_a_vector_is_drawn_as_a_strip_and_a_matrix_as_a_whole(shape, size):
    assert decode_picture(picture(np.zeros(shape))).size == size


def test_three_channels_are_drawn_in_colour_on_request():
    red = np.zeros((3, 4, 4), np.float32)
    red[0] = 1
    assert decode_picture(picture(red, colour=True)).getpixel((0, 0)) == (255, 0, 0)
    assert decode_picture(picture(red)).mode == "L"


@pytest.mark.parametrize("name", SAMPLES)
def test_the_metadata_names_the_activations_of_every_layer_type(tmp_path, name):
    network = SAMPLES[name]
    file = tmp_path / "model.onnx"
    write_onnx(network, random_weights(network), file, None, [])
    predictor = Predictor(file)
    layers = json.loads(predictor.metadata["layers"])
    values = {top: value for layer in layers for top, value in layer["values"].items()}
    feed = {predictor.source: random_images(network, 2).astype(np.float32)}
    found = dict(activations(file, list(dict.fromkeys(values.values())), feed))
    shapes = network.shapes("deploy")
    assert {top: found[value].shape for top, value in values.items()} == {top: shapes[top] for top in values}
    assert set(network.outputs("deploy")) <= set(values)
