"""show_visualizations: weights and activations of every layer, in numbers and in pictures."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from datasets.imagedb.images import decoding
from inference.engine import activations as some_at_a_time
from inference.engine.activations import activations
from inference.engine.array_picture import SIDE, picture
from inference.engine.distribution import distribution
from inference.engine.predictor import Predictor
from models_app.networks import Layer, Network
from models_app.networks.export.network_onnx import write_onnx
from tests.models_app.networks.test_onnx_layers import SAMPLES
from tests.support.samples.engine_samples import random_images, random_weights
from tests.support.samples.row_samples import DIGITS, add_snapshot, with_categories

ONE = "/models/images/classification/classify_one"
INFER = "/models/images/generic/infer_one"


@pytest.fixture
def model(make_dataset, make_model, settings, digits_folder):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [digits_folder]
    model = make_model(with_categories(make_dataset()))
    add_snapshot(model, 1, seed=1)
    return model


@pytest.fixture
def image(digits_folder):
    return digits_folder / "3" / "0.png"


@pytest.fixture
def ask(client, model, image):
    def ask(url, **fields):
        return client.post(url, {"job_id": model.pk, "image_file": io.BytesIO(image.read_bytes())} | fields)

    return ask


def decoded(html):
    start = "data:image/png;base64,"
    assert html.startswith(start)
    return Image.open(io.BytesIO(base64.b64decode(html.removeprefix(start))))


def named(entries, vis_type):
    return {entry["name"]: entry for entry in entries if entry["vis_type"] == vis_type}


@pytest.mark.django_db
def test_every_layer_shows_its_weights_and_its_activations(ask):
    answer = ask(f"{ONE}.json?visualizations=1").json()
    assert list(answer) == ["predictions", "visualizations"]
    entries = answer["visualizations"]
    assert list(named(entries, "Weights")) == ["conv1", "conv2", "ip1", "ip2"]
    assert list(named(entries, "Activation")) == [
        "data", "scaled", "conv1", "pool1", "conv2", "pool2", "ip1", "relu1", "ip2", "softmax",
    ]  # fmt: skip
    assert [entry["name"] for entry in entries][2:5] == ["conv1", "conv1", "pool1"]
    assert all(max(decoded(entry["image_html"]).size) <= SIDE for entry in entries)


@pytest.mark.django_db
def test_the_numbers_are_those_of_the_network(ask, model, image):
    entries = ask(f"{ONE}.json?visualizations=1").json()["visualizations"]
    weights = np.load(model.newest_snapshot.directory / "weights.npz")
    conv1 = named(entries, "Weights")["conv1"]
    assert (conv1["layer_type"], conv1["param_count"]) == ("Convolution", 520)
    assert conv1["data_stats"] == distribution(weights["conv1.weight"])
    pixels = decoding.read_array(image, 28, 28, 1, "squash")
    scores = Predictor(model.newest_snapshot.onnx_file).scores(pixels[None])[0]
    made = named(entries, "Activation")
    assert made["softmax"]["data_stats"]["max"] == pytest.approx(scores.max(), rel=1e-4)
    assert made["data"]["data_stats"] == distribution(pixels.transpose(2, 0, 1))
    relu, before = made["relu1"]["data_stats"], made["ip1"]["data_stats"]
    assert (relu["min"], relu["max"]) == (0, before["max"])
    assert before["min"] < 0


@pytest.mark.django_db
def test_json_has_no_other_key_unless_it_is_asked_for(ask):
    assert list(ask(f"{ONE}.json", show_visualizations="y").json()) == ["predictions"]
    assert list(ask(f"{ONE}.json?visualizations=0", show_visualizations="y").json()) == ["predictions"]
    assert list(ask(f"{INFER}.json?visualizations=1").json()) == ["outputs", "visualizations"]


@pytest.mark.django_db
def test_a_query_that_is_neither_yes_nor_no_is_named(ask):
    answer = ask(f"{ONE}.json?visualizations=maybe")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "visualizations")


@pytest.mark.django_db
@pytest.mark.parametrize("url", [ONE, INFER])
def test_the_page_shows_the_pictures_where_they_are_asked_for(ask, url):
    with_them = ask(url, show_visualizations="y", headers={"Accept": "text/html"}).content.decode()
    without = ask(url, headers={"Accept": "text/html"}).content.decode()
    assert with_them.count('<img src="data:image/png;base64,') == 15
    assert without.count('<img src="data:image/png;base64,') == 1
    assert "relu1" in with_them


@pytest.mark.django_db
def test_the_page_lists_the_categories_with_their_confidence(ask):
    best, percent = next(iter(ask(f"{ONE}.json").json()["predictions"].items()))
    page = ask(ONE, headers={"Accept": "text/html"}).content.decode()
    first = page.split('<ul class="list-group">')[1].split("</li>")[0]
    assert first.split("<span")[1].split(">", 1)[1].split() == [f"{percent:.2f}%</span>", best]


@pytest.fixture
def branched(tmp_path):
    """model.onnx of a network of two branches, on two images of 3×9×9."""
    layers = (
        Layer("data", "Data", (), ("data",)),
        Layer("pool", "Pooling", ("data",), ("pool",), {"kernel_size": 3, "stride": 3}),
        Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 5, "weight_filler": {"type": "xavier"}}),
    )
    network = Network("branched", (3, 9, 9), layers)
    write_onnx(network, network.initial_weights(1), tmp_path / "model.onnx", None, DIGITS)
    return tmp_path / "model.onnx"


@pytest.mark.parametrize("most", [1, 1 << 20])
def test_values_come_in_order_whether_one_run_has_room_for_them_or_not(branched, monkeypatch, most):
    monkeypatch.setattr(some_at_a_time, "MAX_BYTES_A_RUN", most)
    batch = np.random.default_rng(1).random((1, 3, 9, 9), np.float32)
    found = dict(activations(branched, ["ip/Gemm", "data", "pool/MaxPool"], {"data": batch}))
    assert {name: values.shape for name, values in found.items()} == {
        "data": (3, 9, 9), "ip/Gemm": (5,), "pool/MaxPool": (3, 3, 3),
    }  # fmt: skip
    np.testing.assert_array_equal(found["pool/MaxPool"], batch[0].reshape(3, 3, 3, 3, 3).max(axis=(2, 4)))


def test_a_distribution_is_numpys():
    values = np.random.default_rng(1).normal(3, 2, (3, 50, 7)).astype(np.float32)
    found = distribution(values)
    assert found["shape"] == [3, 50, 7]
    measures = [found[name] for name in ("mean", "stddev", "min", "max")]
    np.testing.assert_allclose(measures, [values.mean(), values.std(), values.min(), values.max()], rtol=1e-5)
    counts, edges = np.histogram(values, 20)
    assert found["histogram"][0] == counts.tolist()
    np.testing.assert_allclose(found["histogram"][1], (edges[1:] + edges[:-1]) / 2, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found["histogram"][2], edges[[0, 10, 20]], rtol=1e-5)


def test_what_is_not_finite_has_no_part_in_a_distribution():
    found = distribution(np.array([1, np.inf, np.nan, 3], np.float32))
    assert (found["mean"], found["max"], sum(found["histogram"][0])) == (2, 3, 2)
    nothing = distribution(np.array([np.nan], np.float32))
    assert nothing == {"shape": [1], "mean": None, "stddev": None, "min": None, "max": None, "histogram": None}


def test_numbers_as_large_as_float32_has_them_are_counted():
    largest = float(np.finfo(np.float32).max)
    found = distribution(np.array([-largest, -largest, largest, largest], np.float32))
    assert found["stddev"] == pytest.approx(largest, rel=1e-5)
    assert (found["mean"], found["histogram"][0][0], found["histogram"][0][-1]) == (0, 2, 2)
    assert np.asarray(decoded(picture(np.array([-largest, largest], np.float32))))[0, [0, -1]].tolist() == [0, 255]


@pytest.mark.parametrize(
    "shape", [(), (10,), (4097,), (5, 2000), (20, 24, 24), (3, 500, 7), (600, 1, 1), (64, 32, 3, 3), (2, 3, 4, 5, 6)]
)
def test_pictures_are_small_whatever_the_shape(shape):
    assert max(decoded(picture(np.ones(shape, np.float32))).size) <= SIDE


def test_tiles_stand_in_their_order_and_the_largest_number_is_white():
    tiles = np.stack([np.full((8, 8), value, np.float32) for value in (-1, 0, 1)])
    pixels = np.asarray(decoded(picture(tiles)))
    half = len(pixels) // 2
    assert [pixels[2, 2], pixels[2, -3], pixels[-3, 2]] == [0, 128, 255]
    assert pixels[half, half] == 255
    assert np.asarray(decoded(picture(tiles, span=(0, 2))))[-3, 2] == 128


@pytest.mark.parametrize(
    "shape, size",
    [((10,), (169, 16)), ((4096,), (319, 319)), ((20, 4096), (316, 20)), ((2, 100, 50), (101, 100)), ((), (16, 16))],
)
def test_a_vector_is_a_strip_and_a_matrix_is_seen_whole(shape, size):
    assert decoded(picture(np.zeros(shape))).size == size


def test_three_channels_are_a_picture_in_colour_where_that_is_meant():
    red = np.zeros((3, 4, 4), np.float32)
    red[0] = 1
    assert decoded(picture(red, colour=True)).getpixel((0, 0)) == (255, 0, 0)
    assert decoded(picture(red)).mode == "L"


@pytest.mark.parametrize("name", SAMPLES)
def test_every_type_of_layer_says_which_values_are_its_own(tmp_path, name):
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
