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


def prepared_by_hand(name: str, size: int) -> np.ndarray:
    """The middle square of 24 pixels of an image file, scaled with Pillow."""
    square = Image.fromarray(read_array(name, 28, 28, 1, "squash")[2:26, 2:26, 0])
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("size, window", [SMALLER, LARGER])
@pytest.mark.slow(8)
def test_all_that_a_model_with_scaled_images_gives_is_of_the_scaled_images(
    client, built_dataset, make_model, run_training_task, three_images, unpack_download, size, window  # noqa: F811
):  # fmt: skip
    # A LeNet on squares of the 28×28 digits, scaled to another size, with a mean image.
    model = run_training_task(make_model(built_dataset, input_size=size, crop_size=window, use_mean="image"))
    assert (model.status, model.error) == (Status.DONE, "")
    resize = {"window": window, "size": size, "interpolation": "bilinear"}
    scores = scores_of(model, three_images, resize)
    assert_routes_give(client, model, three_images, scores)
    assert_archive_gives(unpack_download(model), three_images, scores, resize)
    assert_evaluation_repeats_the_validation(client, model)
    assert_visualization_shows_the_scaled_image(client, model, three_images[0], size)
    assert_pretrained_models_keep_the_size(client, model, size, window)


def scores_of(model, names: list[str], resize: dict) -> np.ndarray:
    """The scores of images that are scaled as the snapshot says."""
    onnx_file = model.newest_snapshot.onnx_file
    assert read_description(onnx_file.parent)["input_resize"] == resize
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["input_resize"]) == resize
    prepared = np.stack([prepared_by_hand(name, resize["size"]) for name in names])[:, np.newaxis]
    return session.run(None, {"data": prepared.astype(np.float32)})[0]


def assert_routes_give(client, model, names: list[str], scores: np.ndarray) -> None:
    sent = {"job_id": model.pk, "image_list": io.BytesIO(image_list(*names))}
    outputs = client.post("/models/images/generic/infer_many.json", sent).json()["outputs"]
    np.testing.assert_allclose([outputs[name]["softmax"] for name in names], scores, atol=1e-4)
    with Path(names[0]).open("rb") as file:
        one = client.post("/models/images/generic/infer_one.json", {"job_id": model.pk, "image_file": file}).json()
    np.testing.assert_allclose(one["outputs"]["softmax"], scores[:1], atol=1e-4)


def assert_archive_gives(folder: Path, names: list[str], scores: np.ndarray, resize: dict) -> None:
    assert json.loads((folder / "info.json").read_text())["input_resize"] == resize
    (folder / "labels.txt").unlink()  # without categories the script prints the scores
    script = run_script(folder, *names)
    assert (script.stderr, script.returncode) == ("", 0)
    printed = json.loads(script.stdout)["outputs"]
    np.testing.assert_allclose([printed[name]["softmax"] for name in names], scores, atol=1e-4)


def assert_evaluation_repeats_the_validation(client, model) -> None:
    measured = model.metrics.filter(split="val").latest("iteration")
    job = client.post(f"/models/{model.pk}/evaluation.json", {"split": "val"}).json()["job_id"]
    evaluate(job)
    found = client.get(f"/models/{model.pk}/evaluation.json", {"split": "val"}).json()
    assert found["accuracy"] == pytest.approx(measured.accuracy)
    assert found["loss"] == pytest.approx(measured.loss, rel=1e-4)


def assert_visualization_shows_the_scaled_image(client, model, name: str, size: int) -> None:
    with Path(name).open("rb") as file:
        sent = {"job_id": model.pk, "image_file": file}
        shown = client.post("/models/images/classification/classify_one.json?visualizations=1", sent).json()[
            "visualizations"
        ]
    data = next(one for one in shown if one["name"] == "data")
    assert data["data_stats"]["shape"] == [1, size, size]


def assert_pretrained_models_keep_the_size(client, model, size: int, window: int) -> None:
    row = importing.from_snapshot("ada", model.newest_snapshot)
    archive = io.BytesIO(b"".join(client.get(f"/models/{model.pk}/download.zip").streaming_content))
    from_archive = importing.from_archive("ada", archive, "model.zip")
    for made in (row, from_archive):
        assert made.network["input_shape"] == [1, size, size]
        assert made.network["resizing"] == Resizing(window / 28).to_dict()
