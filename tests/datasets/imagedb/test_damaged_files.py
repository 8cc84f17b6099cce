"""A file of a job that is missing, empty, cut short or changed: the answer names it, and nothing fails with an id."""

import json
import os
import shutil

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from datasets.imagedb import PrebuiltSpec, PrebuiltSplit
from datasets.integrity import check_dataset
from datasets.services import take_prebuilt
from datasets.tasks import build_dataset
from digits_project.common.digests import sha256
from digits_project.common.errors import Aborted, BadInput
from digits_project.jobs.services import submit
from inference import services
from inference.tasks import evaluate
from models_app.models import Snapshot
from models_app.results import Evaluation
from models_app.tasks import train_model
from tests.support.samples.row_samples import add_snapshot, image_list, with_categories

pytestmark = pytest.mark.django_db
ROUTES = "/models/images/classification"


@pytest.fixture(autouse=True)
def _open_server(settings, digits_folder):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [digits_folder]


@pytest.fixture
def snapshot(make_dataset, make_model):
    model = make_model(with_categories(make_dataset()))
    np.save(model.dataset.directory / "mean.npy", np.zeros((1, 28, 28), np.float32))
    return add_snapshot(model, 1, seed=1)


def remove(path):
    path.unlink()


def empty(path):
    os.truncate(path, 0)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    """One bit of a byte in the middle; the time of its last change is set back."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size // 2)
        byte = file.read(1)[0]
        file.seek(before.st_size // 2)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


DAMAGES = [remove, empty, cut, flip]


@pytest.fixture
def ask(client, digits_folder):
    """What each route that reads a snapshot answers: status and text."""
    image = digits_folder / "3" / "0.png"

    def ask(route, snapshot):
        model = snapshot.trained_model
        path = {"image_path": str(image)}
        asked = {
            "classify_one": lambda: client.post(f"{ROUTES}/classify_one.json", {"job_id": model.pk} | path),
            "infer_one": lambda: client.post("/models/images/generic/infer_one.json", {"job_id": model.pk} | path),
            "classify_many": lambda: client.post(f"{ROUTES}/classify_many.json", listed(model, image)),
            "top_n": lambda: client.post(f"{ROUTES}/top_n.json", listed(model, image)),
            "visualizations": lambda: client.post(
                f"{ROUTES}/classify_one.json?visualizations=1", {"job_id": model.pk} | path
            ),
            "page": lambda: client.post(f"{ROUTES}/classify_one", {"job_id": model.pk} | path),
            "download": lambda: client.get(f"/models/{model.pk}/download.zip"),
        }
        answer = asked[route]()
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        return answer.status_code, content.decode(errors="replace").replace("&#x27;", "'")

    return ask


def listed(model, image):
    return {"job_id": model.pk, "image_list": SimpleUploadedFile("list.txt", image_list(image))}


ONNX_ROUTES = ["classify_one", "infer_one", "classify_many", "top_n", "visualizations", "page", "download"]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("route", ONNX_ROUTES)
def test_a_model_onnx_that_is_not_whole_is_a_conflict_that_names_it(ask, snapshot, route, damage):
    assert ask(route, snapshot)[0] == 200
    damage(snapshot.onnx_file)
    status, text = ask(route, snapshot)
    assert status == 409
    assert f"{snapshot.trained_model_id}/snapshots/epoch-1/model.onnx is " in text


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("route", ["visualizations", "download"])
def test_weights_that_are_not_whole_are_a_conflict_that_names_them(ask, snapshot, route, damage):
    damage(snapshot.weights_file)
    status, text = ask(route, snapshot)
    assert (status, "snapshots/epoch-1/weights.npz is " in text) == (409, True)


@pytest.mark.parametrize("damage", [remove, empty, cut], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("route", ["classify_one", "download"])
def test_a_description_that_is_not_whole_is_a_conflict_that_names_it(ask, snapshot, route, damage):
    damage(snapshot.directory / "snapshot.json")
    status, text = ask(route, snapshot)
    assert (status, "snapshots/epoch-1/snapshot.json is " in text) == (409, True)


@pytest.mark.parametrize("text", ["[]", "7", '{"sha256": {}}', '{"sha256": []}', "[" * 100_000, "\\xff"])
def test_a_description_that_says_something_else_is_a_conflict_that_names_it(ask, snapshot, text):
    (snapshot.directory / "snapshot.json").write_text(text)
    for route in ("classify_one", "download"):
        status, said = ask(route, snapshot)
        assert (status, "snapshots/epoch-1/snapshot.json is damaged" in said) == (409, True)


def test_a_description_without_a_network_is_a_conflict_that_names_it(ask, snapshot):
    path = snapshot.directory / "snapshot.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"network": {"layers": 3}}))
    status, said = ask("download", snapshot)
    assert (status, "snapshot.json is damaged: it does not describe a network" in said) == (409, True)


@pytest.mark.parametrize("route", ONNX_ROUTES)
def test_a_folder_of_a_job_that_is_gone_is_a_conflict_that_names_the_job(ask, snapshot, route):
    shutil.rmtree(snapshot.trained_model.directory)
    status, said = ask(route, snapshot)
    assert (status, f"{snapshot.trained_model_id} is missing" in said) == (409, True)


def test_a_folder_of_a_snapshot_that_is_gone_is_named(ask, snapshot):
    shutil.rmtree(snapshot.directory)
    status, said = ask("classify_one", snapshot)
    assert (status, f"{snapshot.trained_model_id}/snapshots/epoch-1 is missing" in said) == (409, True)


def test_a_model_that_was_loaded_is_refused_once_its_file_changes(ask, snapshot):
    assert ask("classify_one", snapshot)[0] == 200
    flip(snapshot.onnx_file)
    assert ask("classify_one", snapshot)[0] == 409
    flip(snapshot.onnx_file)
    assert ask("classify_one", snapshot)[0] == 200


def test_a_file_that_no_digest_is_known_of_has_to_be_a_model(ask, snapshot):
    (snapshot.directory / "snapshot.json").write_text("{}")  # as an early version wrote it
    assert ask("classify_one", snapshot)[0] == 200
    cut(snapshot.onnx_file)
    status, said = ask("classify_one", snapshot)
    assert (status, "model.onnx is damaged: ONNX Runtime can't load it" in said) == (409, True)


def test_a_snapshot_that_was_deleted_just_now_is_no_damaged_one(ask, snapshot):
    shutil.rmtree(snapshot.directory)
    late = Snapshot.objects.get(pk=snapshot.pk)
    Snapshot.objects.all().delete()
    with pytest.raises(BadInput, match="was deleted just now"):
        services.predictor(late)


@pytest.mark.parametrize("damage", [empty, cut, flip], ids=lambda damage: damage.__name__)
def test_a_mean_that_is_not_whole_is_not_packed(ask, snapshot, damage):
    dataset = snapshot.trained_model.dataset
    type(dataset).objects.update(digests={"mean.npy": sha256(dataset.directory / "mean.npy")})
    assert ask("download", snapshot)[0] == 200
    damage(snapshot.trained_model.dataset.directory / "mean.npy")
    status, said = ask("download", snapshot)
    assert (status, f"{snapshot.trained_model.dataset_id}/mean.npy is damaged" in said) == (409, True)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", ["train.rec", "train.idx", "val.rec", "val.idx", "labels.txt", "mean.npy"])
def test_a_training_on_a_dataset_that_is_not_whole_names_the_file(built_dataset, make_model, cpu, name, damage):
    model = make_model(built_dataset)
    cpu.leased_to = model.pk
    cpu.save()
    damage(built_dataset.directory / name)
    train_model(model.pk)
    model.refresh_from_db()
    assert (model.status, f"{built_dataset.pk}/{name}" in model.error) == ("Error", True), model.error
    assert str(built_dataset.directory) not in model.error


READ = [f"{split}.{what}" for split in ("train", "val") for what in ("rec", "idx")] + ["mean.npy"]


def test_a_build_stores_the_digest_of_each_file_that_a_training_reads(built_dataset):
    read = [*READ, "labels.txt"]
    assert {name: built_dataset.digests[name] for name in read} == digests_of(built_dataset.directory, read)


def test_a_generic_dataset_has_the_digest_of_each_file_that_a_training_reads(built_dataset, make_dataset):
    taken, elsewhere = make_dataset(), built_dataset.directory
    spec = PrebuiltSpec(PrebuiltSplit(elsewhere / "train.rec"), PrebuiltSplit(elsewhere / "val.rec"))
    take_prebuilt(taken, spec, lambda fraction: None)
    taken.refresh_from_db()
    assert taken.digests == digests_of(taken.directory, sorted(READ))


def digests_of(directory, names):
    return {name: sha256(directory / name) for name in names}


def test_a_dataset_that_was_built_before_there_were_digests_is_trained_on(built_dataset, make_model, cpu):
    type(built_dataset).objects.update(digests={})
    model = make_model(built_dataset)
    cpu.leased_to = model.pk
    cpu.save()
    flip(built_dataset.directory / "mean.npy")
    train_model(model.pk)
    model.refresh_from_db()
    assert model.status == "Done", model.error


def test_a_training_that_checks_a_large_dataset_can_be_aborted(built_dataset):
    def aborted():
        raise Aborted

    with pytest.raises(Aborted):
        check_dataset(built_dataset, ("train",), aborted)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", ["val.rec", "val.idx", "labels.txt"])
def test_an_evaluation_on_a_dataset_that_is_not_whole_names_the_file(built_dataset, make_model, name, damage):
    model = make_model(built_dataset)
    add_snapshot(model, 1, seed=1)
    evaluation = submit(Evaluation(trained_model=model, epoch=1, split="val", name="e"))
    damage(built_dataset.directory / name)
    evaluate(evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.status, f"{built_dataset.pk}/{name}" in evaluation.error) == ("Error", True), evaluation.error


def remove_folder(path):
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("damage", [*DAMAGES, remove_folder], ids=lambda damage: damage.__name__)
def test_an_evaluation_of_a_snapshot_that_is_not_whole_names_the_file(built_dataset, make_model, damage):
    model = make_model(built_dataset)
    damage(add_snapshot(model, 1, seed=1).onnx_file)
    evaluation = submit(Evaluation(trained_model=model, epoch=1, split="val", name="e"))
    evaluate(evaluation.pk)
    evaluation.refresh_from_db()
    assert (evaluation.status, "snapshots/epoch-1" in evaluation.error) == ("Error", True), evaluation.error


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_training_from_weights_that_are_not_whole_names_the_file(built_dataset, make_model, cpu, damage):
    first = make_model(built_dataset)
    weights = add_snapshot(first, 1, seed=1).weights_file
    model = make_model(built_dataset, method="previous", previous=first, previous_epoch=1)
    cpu.leased_to = model.pk
    cpu.save()
    damage(weights)
    train_model(model.pk)
    model.refresh_from_db()
    assert (model.status, "snapshots/epoch-1" in model.error) == ("Error", True), model.error


@pytest.mark.parametrize("kind", ["dataset", "model", "evaluation"])
def test_a_job_whose_folder_is_gone_says_so(built_dataset, make_dataset, make_model, cpu, kind):
    model = make_model(built_dataset)
    cpu.leased_to = model.pk
    cpu.save()
    add_snapshot(model, 1, seed=1)
    job, task = {
        "dataset": lambda: (make_dataset(), build_dataset),
        "model": lambda: (model, train_model),
        "evaluation": lambda: (submit(Evaluation(trained_model=model, epoch=1, split="val", name="e")), evaluate),
    }[kind]()
    shutil.rmtree(job.directory)
    task(job.pk)
    job.refresh_from_db()
    assert (job.status, f"The folder {job.pk} is missing" in job.error) == ("Error", True), job.error


@pytest.mark.parametrize("name", ["train.rec", "train.idx"])
@pytest.mark.parametrize("damage", [remove, empty, cut], ids=lambda damage: damage.__name__)
def test_the_pictures_of_a_dataset_that_is_not_whole_say_which_file(admin_client, built_dataset, name, damage):
    damage(built_dataset.directory / name)
    page = f"/admin/datasets/dataset/{built_dataset.pk}"
    for path in ("/images/", "/images/train/0", "/strip.png"):
        answer = admin_client.get(page + path, follow=True)
        assert answer.status_code in (200, 409)
        assert name in answer.content.decode(), path
        assert str(built_dataset.directory) not in answer.content.decode().split("folder_train")[0], path
    assert admin_client.get(f"{page}/change/").status_code == 200
