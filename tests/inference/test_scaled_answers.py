"""A trained model whose images are scaled: every route, the archive's script and the evaluation give the same."""

import io
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from datasets.imagedb.images.decoding import read_array
from digits_project.jobs.models import Status
from inference.tasks import evaluate
from models_app.networks.resizing import Resizing
from models_app.pretrained import importing
from models_app.training.snapshots.snapshot_check import read_description
from tests.inference.download.test_classify_script import run_script, unpack_download  # noqa: F401 - a fixture
from tests.support.samples.row_samples import image_list

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_roots")]
SMALLER, LARGER = (20, 24), (40, 24)  # networks, than the dataset's images of 28: its side, and that of the square


@pytest.fixture
def trained(built_dataset, make_model, run_training_task, size, window):
    """A LeNet that is trained on squares of the 28×28 digits, scaled to another size, with a mean image."""
    model = run_training_task(make_model(built_dataset, input_size=size, crop_size=window, use_mean="image"))
    assert (model.status, model.error) == (Status.DONE, "")
    return model


def prepared_by_hand(name: str, size: int) -> np.ndarray:
    """The middle square of 24 pixels of an image file, scaled with Pillow."""
    square = Image.fromarray(read_array(name, 28, 28, 1, "squash")[2:26, 2:26, 0])
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("size, window", [SMALLER, LARGER])
@pytest.mark.slow(8)
def test_all_answers_of_a_model_with_scaled_images_are_the_same(
    client, trained, three_images, digits_folder, size, window, request
):
    resize = {"window": window, "size": size, "interpolation": "bilinear"}
    onnx_file = trained.newest_snapshot.onnx_file
    assert read_description(onnx_file.parent)["input_resize"] == resize
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["input_resize"]) == resize
    prepared = np.stack([prepared_by_hand(name, size) for name in three_images])[:, np.newaxis].astype(np.float32)
    scores = session.run(None, {"data": prepared})[0]

    sent = {"job_id": trained.pk, "image_list": io.BytesIO(image_list(*three_images))}
    outputs = client.post("/models/images/generic/infer_many.json", sent).json()["outputs"]
    np.testing.assert_allclose([outputs[name]["softmax"] for name in three_images], scores, atol=1e-4)
    with Path(three_images[0]).open("rb") as file:
        one = client.post("/models/images/generic/infer_one.json", {"job_id": trained.pk, "image_file": file}).json()
    np.testing.assert_allclose(one["outputs"]["softmax"], scores[:1], atol=1e-4)

    folder = request.getfixturevalue("unpack_download")(trained)
    assert json.loads((folder / "info.json").read_text())["input_resize"] == resize
    (folder / "labels.txt").unlink()  # without categories the script prints the scores
    script = run_script(folder, *three_images)
    assert (script.stderr, script.returncode) == ("", 0)
    printed = json.loads(script.stdout)["outputs"]
    np.testing.assert_allclose([printed[name]["softmax"] for name in three_images], scores, atol=1e-4)


@pytest.mark.parametrize("size, window", [LARGER])
@pytest.mark.slow(6)
def test_the_evaluation_of_scaled_images_repeats_the_validation(client, trained):
    measured = trained.metrics.filter(split="val").latest("iteration")
    job = client.post(f"/models/{trained.pk}/evaluation.json", {"split": "val"}).json()["job_id"]
    evaluate(job)
    found = client.get(f"/models/{trained.pk}/evaluation.json", {"split": "val"}).json()
    assert found["accuracy"] == pytest.approx(measured.accuracy)
    assert found["loss"] == pytest.approx(measured.loss, rel=1e-4)


@pytest.mark.parametrize("size, window", [SMALLER])
@pytest.mark.slow(6)
def test_visualizations_show_the_scaled_image(client, trained, three_images, size):
    with Path(three_images[0]).open("rb") as file:
        sent = {"job_id": trained.pk, "image_file": file}
        shown = client.post("/models/images/classification/classify_one.json?visualizations=1", sent).json()[
            "visualizations"
        ]
    data = next(one for one in shown if one["name"] == "data")
    assert data["data_stats"]["shape"] == [1, size, size]


@pytest.mark.parametrize("size, window", [LARGER])
@pytest.mark.slow(6)
def test_a_pretrained_model_made_of_it_keeps_how_images_are_scaled(trained, size, window, client):
    row = importing.from_snapshot("ada", trained.newest_snapshot)
    archive = io.BytesIO(b"".join(client.get(f"/models/{trained.pk}/download.zip").streaming_content))
    from_archive = importing.from_archive("ada", archive, "model.zip")
    for made in (row, from_archive):
        assert made.network["input_shape"] == [1, size, size]
        assert made.network["resizing"] == Resizing(window / 28).to_dict()
