"""infer_one and infer_many: the response has every output of a network unchanged."""

import io

import numpy as np
import pytest

from datasets.imagedb.images import decoding
from inference import services
from inference.engine.predictor import Predictor
from models_app.networks import Layer, Network, standard
from models_app.networks.export.network_onnx import write_onnx
from tests.support.samples.row_samples import add_snapshot, image_list, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_roots")]
ONE = "/models/images/generic/infer_one.json"
MANY = "/models/images/generic/infer_many.json"
SQUARE = (1, 28, 28)
DATA = Layer("data", "Data", (), ("data",))
SMALL = Layer("small", "Pooling", ("data",), ("small",), {"pool": "MAX", "kernel_size": 7, "stride": 7})


@pytest.fixture
def model(make_dataset, make_model):
    """A classifier without a snapshot."""
    return make_model(with_categories(make_dataset()))


@pytest.fixture
def post(client, model):
    """A function that posts a form, in which bytes are files, to an address."""

    def post(url, **fields):
        sent = {name: io.BytesIO(value) if isinstance(value, bytes) else value for name, value in fields.items()}
        return client.post(url, {"job_id": model.pk} | sent)

    return post


def branched_network():
    """A network with two outputs: an image-shaped one and a vector of three numbers."""
    three = Layer(
        "three", "InnerProduct", ("data",), ("three",), {"num_output": 3, "weight_filler": {"type": "xavier"}}
    )
    return Network("branched", SQUARE, (DATA, SMALL, three))


def overflowing_network():
    """A network whose output, e to the power of the brightest pixel, is too large for float32."""
    brightest = Layer("brightest", "Pooling", ("data",), ("brightest",), {"pool": "MAX", "kernel_size": 28})
    return Network("endless", SQUARE, (DATA, brightest, Layer("three", "Exp", ("brightest",), ("three",))))


def compute_outputs(snapshot, image):
    return Predictor(snapshot.onnx_file).outputs(decoding.read_array(image, 28, 28, 1, "squash")[None])


def test_infer_one_returns_every_output_with_its_batch_axis(post, model, image):
    snapshot = add_snapshot(model, 1, seed=1, network=branched_network())
    response = post(ONE, image_file=image.read_bytes()).json()
    assert list(response) == ["outputs"]
    found = {name: np.array(values) for name, values in response["outputs"].items()}
    assert {name: values.shape for name, values in found.items()} == {"small": (1, 1, 4, 4), "three": (1, 3)}
    for name, values in compute_outputs(snapshot, image).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5)


def test_infer_many_returns_the_outputs_of_each_image_without_batch_axis(post, model, digits_folder):
    snapshot = add_snapshot(model, 1, seed=1, network=branched_network())
    response = post(MANY, image_list=image_list("3/0.png 3", "missing.png", "4/1.png"), image_folder=str(digits_folder))
    assert (list(response.json()), response["X-Digits-Skipped"]) == (["outputs"], "1")
    assert list(response.json()["outputs"]) == ["3/0.png", "4/1.png"]
    for path, layers in response.json()["outputs"].items():
        expected = compute_outputs(snapshot, digits_folder / path)
        assert list(layers) == list(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(layers[name], values[0], rtol=1e-5)


def test_infer_one_returns_the_probabilities_of_a_classifier(post, model, image):
    add_snapshot(model, 1, seed=1)
    response = post(ONE, image_path=str(image)).json()["outputs"]
    assert list(response) == ["softmax"]
    assert sum(response["softmax"][0]) == pytest.approx(1)


def test_a_response_that_would_fill_the_memory_is_refused(post, model, image, monkeypatch):
    add_snapshot(model, 1, seed=1, network=branched_network())
    monkeypatch.setattr(services, "MAX_NUMBERS", 19)  # 4×4 and 3
    assert post(ONE, image_path=str(image)).status_code == 200
    monkeypatch.setattr(services, "MAX_NUMBERS", 18)
    listed = str(image).encode()
    for response in (post(ONE, image_path=str(image)), post(MANY, image_list=listed)):
        assert response.status_code == 400
        assert "19 numbers for an image, and a response has at most 18" in response.json()["error"]["description"]


def test_a_cropping_network_reads_the_centre_of_an_image(post, model, image, tmp_path):
    network = standard("lenet", (1, 20, 24), 10)
    add_snapshot(model, 1, seed=1, network=network)
    response = post(ONE, image_path=str(image)).json()["outputs"]["softmax"]
    write_onnx(network, network.initial_weights(1), tmp_path / "uncropped.onnx", None, [])
    centre = decoding.read_array(image, 28, 28, 1, "squash")[None, 4:24, 2:26]
    np.testing.assert_allclose(response, Predictor(tmp_path / "uncropped.onnx").scores(centre), rtol=1e-5)


def test_an_output_that_is_not_a_finite_number_is_null(post, model, image):
    add_snapshot(model, 1, seed=1, network=overflowing_network())
    assert post(ONE, image_path=str(image)).json()["outputs"]["three"] == [[[[None]]]]


@pytest.mark.parametrize("wire_format, status", [("documented", 422), ("digits", 500)])
def test_infer_one_refuses_an_image_that_cannot_be_decoded(post, model, settings, wire_format, status):
    settings.DIGITS_WIRE_FORMAT = wire_format
    add_snapshot(model, 1, seed=1)
    assert post(ONE, image_file=b"no image").status_code == status


@pytest.mark.parametrize("url, sent", [(ONE, "image_file"), (MANY, "image_list")])
def test_the_page_has_a_table_of_the_outputs_even_if_one_is_named_items(post, model, image, url, sent):
    items = Layer("items", "Pooling", ("data",), ("items",), {"pool": "MAX", "kernel_size": 28})
    add_snapshot(model, 1, seed=1, network=Network("named", SQUARE, (DATA, items)))
    values = {"image_file": image.read_bytes(), "image_list": image_list(image)}
    page = post(url.removesuffix(".json"), **{sent: values[sent]}).content.decode()
    table = page.split('<table class="table">')[1].split("</table>")[0]
    brightest = float(decoding.read_array(image, 28, 28, 1, "squash").max())
    assert "items" in table
    assert f"[[[{brightest}]]]" in table


@pytest.mark.parametrize("url, field", [(ONE, "image"), (MANY, "image_list")])
def test_inference_without_an_image_or_a_list_is_refused(post, url, field):
    response = post(url)
    assert response.status_code == 400
    assert field in response.json()["error"]["description"]


@pytest.mark.parametrize("url", [ONE, MANY])
def test_a_get_request_returns_the_defaults_of_the_form(client, db, url):
    assert "snapshot_epoch" in client.get(url).json()["defaults"]
