"""Missing, empty, truncated and changed files of a snapshot: routes return 409 and jobs fail, and name the file."""

import json
import shutil

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from digits_project.common.digests import sha256
from digits_project.common.errors import BadInput
from digits_project.jobs.services import submit
from inference import services
from inference.tasks import evaluate
from models_app.models import Snapshot
from models_app.results import Evaluation
from models_app.tasks import train_model
from tests.support.damage import DAMAGES, cut_in_half, delete, delete_folder, empty, flip_bit
from tests.support.samples.row_samples import add_snapshot, image_list, move_weights_apart, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_roots")]
ROUTES = "/models/images/classification"


@pytest.fixture
def snapshot(make_dataset, make_model):
    model = make_model(with_categories(make_dataset()))
    np.save(model.dataset.directory / "mean.npy", np.zeros((1, 28, 28), np.float32))
    return add_snapshot(model, 1, seed=1)


@pytest.fixture
def send(client, digits_folder):
    """A function that sends a request to a route that reads a snapshot, and returns the status and the text."""
    image = digits_folder / "3" / "0.png"

    def send(route, snapshot):
        model = snapshot.trained_model
        path = {"image_path": str(image)}
        requests = {
            "classify_one": lambda: client.post(f"{ROUTES}/classify_one.json", {"job_id": model.pk} | path),
            "infer_one": lambda: client.post("/models/images/generic/infer_one.json", {"job_id": model.pk} | path),
            "classify_many": lambda: client.post(f"{ROUTES}/classify_many.json", list_form(model, image)),
            "top_n": lambda: client.post(f"{ROUTES}/top_n.json", list_form(model, image)),
            "visualizations": lambda: client.post(
                f"{ROUTES}/classify_one.json?visualizations=1", {"job_id": model.pk} | path
            ),
            "page": lambda: client.post(f"{ROUTES}/classify_one", {"job_id": model.pk} | path),
            "download": lambda: client.get(f"/models/{model.pk}/download.zip"),
        }
        response = requests[route]()
        content = b"".join(response.streaming_content) if response.streaming else response.content
        return response.status_code, content.decode(errors="replace").replace("&#x27;", "'")

    return send


def list_form(model, image):
    return {"job_id": model.pk, "image_list": SimpleUploadedFile("list.txt", image_list(image))}


ONNX_ROUTES = ["classify_one", "infer_one", "classify_many", "top_n", "visualizations", "page", "download"]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("route", ONNX_ROUTES)
def test_a_damaged_model_onnx_gets_409_that_names_the_file(send, snapshot, route, damage):
    assert send(route, snapshot)[0] == 200
    damage(snapshot.onnx_file)
    status, text = send(route, snapshot)
    assert status == 409
    assert f"{snapshot.trained_model_id}/snapshots/epoch-1/model.onnx is " in text


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("route", ["visualizations", "download"])
def test_damaged_weights_beside_the_model_get_409_that_names_the_file(send, snapshot, route, damage):
    damage(move_weights_apart(snapshot))
    status, text = send(route, snapshot)
    assert (status, "snapshots/epoch-1/weights.npz is " in text) == (409, True)


@pytest.mark.parametrize("damage", [delete, empty, cut_in_half], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("route", ["classify_one", "download"])
def test_a_damaged_snapshot_json_gets_409_that_names_the_file(send, snapshot, route, damage):
    damage(snapshot.directory / "snapshot.json")
    status, text = send(route, snapshot)
    assert (status, "snapshots/epoch-1/snapshot.json is " in text) == (409, True)


@pytest.mark.parametrize("text", ["[]", "7", '{"sha256": {}}', '{"sha256": []}', "[" * 100_000, "\\xff"])
def test_an_invalid_snapshot_json_gets_409_that_names_the_file(send, snapshot, text):
    (snapshot.directory / "snapshot.json").write_text(text)
    for route in ("classify_one", "download"):
        status, text = send(route, snapshot)
        assert (status, "snapshots/epoch-1/snapshot.json is damaged" in text) == (409, True)


def test_a_snapshot_json_without_a_network_gets_409_that_names_the_file(send, snapshot):
    path = snapshot.directory / "snapshot.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"network": {"layers": 3}}))
    status, text = send("download", snapshot)
    assert (status, "snapshot.json is damaged: it does not describe a network" in text) == (409, True)


@pytest.mark.parametrize("route", ONNX_ROUTES)
def test_a_missing_job_folder_gets_409_that_names_the_job(send, snapshot, route):
    shutil.rmtree(snapshot.trained_model.directory)
    status, text = send(route, snapshot)
    assert (status, f"{snapshot.trained_model_id} is missing" in text) == (409, True)


def test_a_missing_snapshot_folder_gets_409_that_names_the_folder(send, snapshot):
    shutil.rmtree(snapshot.directory)
    status, text = send("classify_one", snapshot)
    assert (status, f"{snapshot.trained_model_id}/snapshots/epoch-1 is missing" in text) == (409, True)


def test_a_loaded_model_gets_409_after_its_file_changes(send, snapshot):
    assert send("classify_one", snapshot)[0] == 200
    flip_bit(snapshot.onnx_file)
    assert send("classify_one", snapshot)[0] == 409
    flip_bit(snapshot.onnx_file)
    assert send("classify_one", snapshot)[0] == 200


def test_a_model_onnx_without_a_digest_is_checked_by_loading_it(send, snapshot):
    (snapshot.directory / "snapshot.json").write_text("{}")  # as in snapshots of early versions
    assert send("classify_one", snapshot)[0] == 200
    cut_in_half(snapshot.onnx_file)
    status, text = send("classify_one", snapshot)
    assert (status, "model.onnx is damaged: ONNX Runtime can't load it" in text) == (409, True)


def test_a_deleted_snapshot_is_not_reported_as_damaged(send, snapshot):
    shutil.rmtree(snapshot.directory)
    deleted = Snapshot.objects.get(pk=snapshot.pk)
    Snapshot.objects.all().delete()
    with pytest.raises(BadInput, match="was deleted just now"):
        services.predictor(deleted)


@pytest.mark.parametrize("damage", [empty, cut_in_half, flip_bit], ids=lambda damage: damage.__name__)
def test_the_download_of_a_damaged_mean_gets_409_that_names_the_file(send, snapshot, damage):
    dataset = snapshot.trained_model.dataset
    type(dataset).objects.update(digests={"mean.npy": sha256(dataset.directory / "mean.npy")})
    assert send("download", snapshot)[0] == 200
    damage(snapshot.trained_model.dataset.directory / "mean.npy")
    status, text = send("download", snapshot)
    assert (status, f"{snapshot.trained_model.dataset_id}/mean.npy is damaged" in text) == (409, True)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [*DAMAGES, delete_folder], ids=lambda damage: damage.__name__)
def test_an_evaluation_of_a_damaged_snapshot_fails_and_names_the_file(built_dataset, make_model, damage):
    model = make_model(built_dataset)
    damage(add_snapshot(model, 1, seed=1).onnx_file)
    evaluation = submit(Evaluation(trained_model=model, epoch=1, split="val", name="e"))
    evaluate(evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.status, "snapshots/epoch-1" in evaluation.error) == ("Error", True), evaluation.error


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_training_from_damaged_weights_fails_and_names_the_file(built_dataset, make_model, cpu, damage):
    previous = make_model(built_dataset)
    weights = add_snapshot(previous, 1, seed=1).onnx_file
    model = make_model(built_dataset, method="previous", previous=previous, previous_epoch=1)
    cpu.leased_to = model.pk
    cpu.save()
    damage(weights)
    train_model(model.pk)
    model.refresh_from_db()
    assert (model.status, "snapshots/epoch-1" in model.error) == ("Error", True), model.error
