"""Downloads whose model.onnx gives calibrated scores, as the server's response with ?calibrated=1."""

import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from datasets.models import Dataset
from inference.download.calibrated_model import calibrated_model
from inference.engine.predictor import Predictor
from inference.engine.temperature import calibrated
from models_app.networks import Layer, Network
from models_app.networks.export.network_onnx import write_onnx
from models_app.results import Evaluation
from tests.inference.download.test_api_download import content_of
from tests.support.samples.row_samples import add_snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_roots")]
TEMPERATURE = 0.4
ONE = "/models/images/classification/classify_one.json"


@pytest.fixture
def evaluated(model):
    about = {"job_id": "20260101-000000-0001", "trained_model": model, "epoch": 1, "name": "lenet", "split": "val"}
    Evaluation.objects.create(**about, status="Done", temperature=TEMPERATURE, unsure_below=0.97)
    return model


@pytest.fixture
def _validation_images(model):
    """The model's dataset has images for validation."""
    Dataset.objects.filter(pk=model.dataset_id).update(splits=[{"name": "val", "entries": 1}])


@pytest.fixture
def server_says(post):
    """The calibrated predictions of the server, {category: percent}."""
    return post(f"{ONE}?calibrated=1").json()["predictions"]


@pytest.mark.usefixtures("_validation_images")
def test_a_snapshot_that_was_not_evaluated_is_refused_with_what_to_do(client, model):
    for form in ("onnx", "tar"):
        response = client.get(f"/models/{model.pk}/download.{form}?calibrated=1")
        assert response.status_code == 409
        assert "Evaluate this snapshot on the validation images" in response.json()["error"]["description"]
    with pytest.raises(CommandError, match="Evaluate this snapshot on the validation images"):
        call_command("export_model", model.pk, "--calibrated")


@pytest.mark.usefixtures("_validation_images")
def test_a_refusal_says_what_can_be_done_with_an_evaluation_that_fitted_nothing(client, model):
    about = {"job_id": "20260101-000000-0001", "trained_model": model, "epoch": 1, "name": "lenet", "split": "val"}
    Evaluation.objects.create(**about, status="Done")  # as an earlier version stored it
    remedy = "made the evaluation 20260101-000000-0001: delete it and evaluate again"
    response = client.get(f"/models/{model.pk}/download.onnx?calibrated=1&epoch=1")
    assert (response.status_code, remedy in response.json()["error"]["description"]) == (409, True)
    with pytest.raises(CommandError, match=remedy):
        call_command("classify", model.pk, "x.png", "--snapshot-epoch", "1", "--unsure-below", "auto")


def test_a_refusal_does_not_ask_for_an_evaluation_that_there_can_not_be(client, model):
    type(model).objects.filter(pk=model.pk).update(kind="generic")
    response = client.get(f"/models/{model.pk}/download.onnx?calibrated=1")
    assert (response.status_code, "is not a classifier" in response.json()["error"]["description"]) == (409, True)


def test_the_query_string_comes_before_the_posted_form(client, evaluated):
    plain = evaluated.newest_snapshot.onnx_file.read_bytes()
    address = f"/models/{evaluated.pk}/download.onnx"
    assert content_of(client.post(f"{address}?calibrated=0", {"calibrated": "1"})) == plain
    assert content_of(client.post(address, {"calibrated": "1"})) != plain
    assert content_of(client.post(f"{address}?calibrated=1", {"calibrated": "0"})) != plain


def test_a_calibrated_model_onnx_gives_the_calibrated_response_of_the_server(
    client, evaluated, image, server_says, tmp_path
):
    plain = client.get(f"/models/{evaluated.pk}/download.onnx")
    assert content_of(plain) == evaluated.newest_snapshot.onnx_file.read_bytes()
    response = client.get(f"/models/{evaluated.pk}/download.onnx?calibrated=1")
    (tmp_path / "model.onnx").write_bytes(content_of(response))
    predictor = Predictor(tmp_path / "model.onnx")
    assert float(predictor.metadata["temperature"]) == TEMPERATURE
    pixels = np.asarray(Image.open(image))[:, :, None]
    scores = 100 * predictor.scores(pixels[None])[0]
    found = {str(digit): score for digit, score in enumerate(scores) if str(digit) in server_says}
    assert found == pytest.approx(server_says, abs=0.01)


def test_the_archive_is_calibrated_and_says_so_and_its_script_gives_the_same_answers(
    client, evaluated, image, server_says, tmp_path
):
    posted = client.post(f"/models/{evaluated.pk}/download.zip", {"calibrated": "1"})
    with zipfile.ZipFile(io.BytesIO(content_of(posted))) as archive:
        archive.extractall(tmp_path / "elsewhere")
    info = json.loads((tmp_path / "elsewhere" / "info.json").read_text())
    assert (info["calibrated"], info["temperature"], info["unsure_below"]) == (True, TEMPERATURE, 0.97)

    def run(*options):
        command = [sys.executable, "-I", tmp_path / "elsewhere" / "classify.py", image, *options]
        return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60, check=True).stdout

    found = json.loads(run("--json"))
    assert dict(found["classifications"][str(image)]) == pytest.approx(server_says, abs=0.01)
    assert found["unsure"] == {str(image): True}
    assert "unsure, perhaps none of these" in run()
    assert "unsure" not in run("--unsure-below", "0.01")


def test_the_archive_of_another_download_does_not_speak_of_calibration(client, evaluated):
    response = client.get(f"/models/{evaluated.pk}/download.zip")
    with zipfile.ZipFile(io.BytesIO(content_of(response))) as archive:
        assert {"calibrated", "temperature", "unsure_below"}.isdisjoint(json.loads(archive.read("info.json")))


def pooled_network():
    """A network that ends in pooling, with a value that its users see before the scores, and a layer whose name is that
    of the calibration."""
    return Network(
        "pooled",
        (3, 28, 28),
        (
            Layer("data", "Data", (), ("data",)),
            Layer("calibrated", "Power", ("data",), ("calibrated",), {"scale": 0.01}),
            Layer("conv", "Convolution", ("calibrated",), ("conv",), {"num_output": 6, "kernel_size": 3}),
            Layer("seen", "Pooling", ("conv",), ("seen",), {"pool": "MAX", "kernel_size": 2}),
            Layer("pool", "Pooling", ("conv",), ("pool",), {"pool": "AVE", "global_pooling": True}),
            Layer("prob", "Softmax", ("pool",), ("prob",)),
        ),
    )


@pytest.mark.parametrize("temperature", [0.3, 1.0, 6.5])
@pytest.mark.parametrize("categories", [6, 4])  # with fewer than the network has outputs, the others do not count
def test_a_network_that_ends_in_pooling_is_calibrated_as_the_server_does(temperature, categories, tmp_path):
    network = pooled_network()
    rng = np.random.default_rng(1)
    weights = {w.name: rng.normal(0, 0.4, w.shape).astype(np.float32) for w in network.weights()}
    write_onnx(network, weights, tmp_path / "plain.onnx", None, [str(n) for n in range(6)])
    with calibrated_model(tmp_path / "plain.onnx", temperature, categories, tmp_path) as made:
        (tmp_path / "calibrated.onnx").write_bytes(made.read())
    images = rng.integers(0, 256, (5, 28, 28, 3), dtype=np.uint8)
    plain, other = (Predictor(tmp_path / f"{name}.onnx") for name in ("plain", "calibrated"))
    expected = calibrated(plain.scores(images)[:, :categories], temperature)
    np.testing.assert_allclose(other.scores(images)[:, :categories], expected, atol=1e-6)
    outputs, same = plain.outputs(images), other.outputs(images)
    assert list(outputs) == list(same) == ["seen", "prob"]
    assert np.array_equal(outputs["seen"], same["seen"])


@pytest.mark.parametrize("name", ["squeezenet", "mobilenet_v2", "efficientnet_lite0"])
def test_standard_networks_are_calibrated_as_the_server_does(name, make_dataset, make_model, tmp_path):
    dataset = make_dataset(resize_width=64, resize_height=64, resize_channels=3)
    type(dataset).objects.filter(pk=dataset.pk).update(categories=["a", "b", "c"])
    dataset.refresh_from_db()
    snapshot = add_snapshot(make_model(dataset, standard_network=name, crop_size=48), 1, seed=1)
    with calibrated_model(snapshot.onnx_file, TEMPERATURE, 3, tmp_path) as made:
        (tmp_path / "calibrated.onnx").write_bytes(made.read())
    images = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    expected = calibrated(Predictor(snapshot.onnx_file).scores(images), TEMPERATURE)
    np.testing.assert_allclose(Predictor(tmp_path / "calibrated.onnx").scores(images), expected, atol=1e-6)
