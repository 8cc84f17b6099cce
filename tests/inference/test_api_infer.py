"""infer_one and infer_many: every output of a network, as it is."""

import io

import numpy as np
import pytest

from datasets.imagedb.images import decoding
from inference import services
from inference.engine.predictor import Predictor
from models_app.networks import Layer, Network, standard
from models_app.networks.export.network_onnx import write_onnx
from tests.support.samples.row_samples import add_snapshot, image_list, with_categories

pytestmark = pytest.mark.django_db
ONE = "/models/images/generic/infer_one.json"
MANY = "/models/images/generic/infer_many.json"
SQUARE = (1, 28, 28)
DATA = Layer("data", "Data", (), ("data",))
SMALL = Layer("small", "Pooling", ("data",), ("small",), {"pool": "MAX", "kernel_size": 7, "stride": 7})


@pytest.fixture(autouse=True)
def _open_server(settings, digits_folder):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [digits_folder]


@pytest.fixture
def model(make_dataset, make_model):
    """A classifier without a snapshot."""
    return make_model(with_categories(make_dataset()))


@pytest.fixture
def image(digits_folder):
    return digits_folder / "3" / "0.png"


@pytest.fixture
def ask(client, model):
    def ask(url, **fields):
        sent = {name: io.BytesIO(value) if isinstance(value, bytes) else value for name, value in fields.items()}
        return client.post(url, {"job_id": model.pk} | sent)

    return ask


def branched():
    """A network with two outputs: an image-shaped one and a vector of three numbers."""
    three = Layer(
        "three", "InnerProduct", ("data",), ("three",), {"num_output": 3, "weight_filler": {"type": "xavier"}}
    )
    return Network("branched", SQUARE, (DATA, SMALL, three))


def endless():
    """Its numbers are too large for float32: e to the brightest pixel."""
    brightest = Layer("brightest", "Pooling", ("data",), ("brightest",), {"pool": "MAX", "kernel_size": 28})
    return Network("endless", SQUARE, (DATA, brightest, Layer("three", "Exp", ("brightest",), ("three",))))


def outputs(snapshot, image):
    return Predictor(snapshot.onnx_file).outputs(decoding.read_array(image, 28, 28, 1, "squash")[None])


def test_every_output_is_answered_with_its_batch_axis(ask, model, image):
    snapshot = add_snapshot(model, 1, seed=1, network=branched())
    answer = ask(ONE, image_file=image.read_bytes()).json()
    assert list(answer) == ["outputs"]
    found = {name: np.array(values) for name, values in answer["outputs"].items()}
    assert {name: values.shape for name, values in found.items()} == {"small": (1, 1, 4, 4), "three": (1, 3)}
    for name, values in outputs(snapshot, image).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5)


def test_a_list_gets_the_outputs_of_each_image_without_batch_axis(ask, model, digits_folder):
    snapshot = add_snapshot(model, 1, seed=1, network=branched())
    answer = ask(MANY, image_list=image_list("3/0.png 3", "missing.png", "4/1.png"), image_folder=str(digits_folder))
    assert (list(answer.json()), answer["X-Digits-Skipped"]) == (["outputs"], "1")
    assert list(answer.json()["outputs"]) == ["3/0.png", "4/1.png"]
    for path, layers in answer.json()["outputs"].items():
        wanted = outputs(snapshot, digits_folder / path)
        assert list(layers) == list(wanted)
        for name, values in wanted.items():
            np.testing.assert_allclose(layers[name], values[0], rtol=1e-5)


def test_a_classifier_answers_its_probabilities(ask, model, image):
    add_snapshot(model, 1, seed=1)
    answer = ask(ONE, image_path=str(image)).json()["outputs"]
    assert list(answer) == ["softmax"]
    assert sum(answer["softmax"][0]) == pytest.approx(1)


def test_an_answer_that_would_fill_the_memory_is_refused(ask, model, image, monkeypatch):
    add_snapshot(model, 1, seed=1, network=branched())
    monkeypatch.setattr(services, "MAX_NUMBERS", 19)  # 4×4 and 3
    assert ask(ONE, image_path=str(image)).status_code == 200
    monkeypatch.setattr(services, "MAX_NUMBERS", 18)
    listed = str(image).encode()
    for answer in (ask(ONE, image_path=str(image)), ask(MANY, image_list=listed)):
        assert answer.status_code == 400
        assert "19 numbers for an image, and at most 18" in answer.json()["error"]["description"]


def test_a_network_that_crops_looks_at_the_centre(ask, model, image, tmp_path):
    network = standard("lenet", (1, 20, 24), 10)
    add_snapshot(model, 1, seed=1, network=network)
    answer = ask(ONE, image_path=str(image)).json()["outputs"]["softmax"]
    write_onnx(network, network.initial_weights(1), tmp_path / "uncropped.onnx", None, [])
    centre = decoding.read_array(image, 28, 28, 1, "squash")[None, 4:24, 2:26]
    np.testing.assert_allclose(answer, Predictor(tmp_path / "uncropped.onnx").scores(centre), rtol=1e-5)


def test_what_is_no_number_is_null(ask, model, image):
    add_snapshot(model, 1, seed=1, network=endless())
    assert ask(ONE, image_path=str(image)).json()["outputs"]["three"] == [[[[None]]]]


@pytest.mark.parametrize("wire_format, status", [("documented", 422), ("digits", 500)])
def test_what_can_not_be_decoded_is_told_so(ask, model, settings, wire_format, status):
    settings.DIGITS_WIRE_FORMAT = wire_format
    add_snapshot(model, 1, seed=1)
    assert ask(ONE, image_file=b"no image").status_code == status


@pytest.mark.parametrize("url, sent", [(ONE, "image_file"), (MANY, "image_list")])
def test_the_page_has_a_table_of_the_outputs_whatever_they_are_called(ask, model, image, url, sent):
    items = Layer("items", "Pooling", ("data",), ("items",), {"pool": "MAX", "kernel_size": 28})
    add_snapshot(model, 1, seed=1, network=Network("named", SQUARE, (DATA, items)))
    values = {"image_file": image.read_bytes(), "image_list": image_list(image)}
    page = ask(url.removesuffix(".json"), **{sent: values[sent]}).content.decode()
    table = page.split('<table class="table">')[1].split("</table>")[0]
    brightest = float(decoding.read_array(image, 28, 28, 1, "squash").max())
    assert "items" in table
    assert f"[[[{brightest}]]]" in table


@pytest.mark.parametrize("url, field", [(ONE, "image"), (MANY, "image_list")])
def test_the_image_must_be_named(ask, url, field):
    answer = ask(url)
    assert answer.status_code == 400
    assert field in answer.json()["error"]["description"]


@pytest.mark.parametrize("url", [ONE, MANY])
def test_the_page_shows_the_form(client, db, url):
    assert "snapshot_epoch" in client.get(url).json()["defaults"]
