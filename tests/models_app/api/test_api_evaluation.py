"""/models/<id>/evaluation: requesting an evaluation, computing it in a worker's task, and reading it."""

import json

import numpy as np
import pytest
from django.utils import timezone
from sklearn import metrics

from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.store.records import RecordReader
from datasets.tasks import build_dataset
from digits_project.jobs import services as jobs
from digits_project.jobs.lifecycle import advance
from digits_project.jobs.models import Status, find_job
from digits_project.jobs.scheduling.dispatch import dispatch
from inference.engine.predictor import Predictor
from inference.tasks import evaluate
from models_app.results import Evaluation
from tests.jobs.test_jobs_dispatch import queued
from tests.support.samples.row_samples import add_snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]


@pytest.fixture
def model(built_dataset, make_model):
    """A waiting model with snapshots of random weights at the epochs 1 and 2."""
    model = make_model(built_dataset)
    for epoch in (1, 2):
        add_snapshot(model, epoch, seed=epoch)
    return model


@pytest.fixture
def send(client):
    """A function that sends a request to a model's evaluation and returns the status and the JSON."""

    def send(method, model, data=None):
        response = getattr(client, method)(f"/models/{model.pk}/evaluation.json", data or {})
        return response.status_code, response.json()

    return send


def evaluate_now(send, model, **form):
    """Request an evaluation and run its task; return the JSON of the result."""
    evaluate(send("post", model, form)[1]["job_id"])
    return send("get", model, form)[1]


def scores_of(snapshot, split="val"):
    """The labels of a split, and the scores of the snapshot for its records."""
    with RecordReader(snapshot.trained_model.dataset.directory / f"{split}.rec") as reader:
        records = [reader[number] for number in range(len(reader))]
    pixels = np.stack([decode_record(payload) for _, payload in records])
    return np.array([label for label, _ in records], int), Predictor(snapshot.onnx_file).scores(pixels)


def test_the_figures_of_a_snapshot_equal_those_of_scikit_learn(send, model):
    found = evaluate_now(send, model, snapshot_epoch=2)
    truths, scores = scores_of(model.snapshot_at(2))
    predictions = scores.argmax(axis=1)
    assert (found["status"], found["snapshot_epoch"], found["split"]) == ("Done", 2, "val")
    assert found["images"] == len(truths)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truths, predictions))
    assert found["loss"] == pytest.approx(metrics.log_loss(truths, scores, labels=range(10)), rel=1e-5)
    assert found["confusion_matrix"] == metrics.confusion_matrix(truths, predictions, labels=range(10)).tolist()
    assert found["top_5_accuracy"] == pytest.approx(metrics.top_k_accuracy_score(truths, scores, k=5, labels=range(10)))
    columns = metrics.precision_recall_fscore_support(truths, predictions, labels=range(10), zero_division=0)
    for name, column in zip(("precision", "recall", "f1", "support"), columns, strict=True):
        assert [category[name] for category in found["categories"]] == pytest.approx(column.tolist())
    names, worst = model.dataset.categories, found["most_confused"][0]
    confused = found["confusion_matrix"][names.index(worst["category"])][names.index(worst["answer"])]
    assert confused == worst["images"] == max(error["images"] for error in found["most_confused"])
    assert [category["category"] for category in found["categories"]] == model.dataset.categories


def test_the_worst_errors_name_the_image_files_of_their_records(send, model):
    found = evaluate_now(send, model, snapshot_epoch=1)
    lines = (model.dataset.directory / "val.txt").read_text().splitlines()
    assert found["worst_errors"]
    for error in found["worst_errors"]:
        path, label = lines[error["record"]].rsplit(" ", 1)
        assert (error["path"], error["category"]) == (path, model.dataset.categories[int(label)])
        assert error["answer"] != error["category"]


def test_a_classifier_is_evaluated_after_its_training(built_dataset, make_model, run_training_task, send):
    model = run_training_task(make_model(built_dataset))
    evaluation = model.evaluations.get()
    assert (evaluation.status, evaluation.owner, evaluation.split) == (Status.WAITING, "ada", "val")
    evaluate(evaluation.pk)
    measured = model.metrics.get(split="val")
    found = send("get", model)[1]
    assert found["accuracy"] == pytest.approx(measured.accuracy)
    assert found["loss"] == pytest.approx(measured.loss, rel=1e-4)


def test_a_failed_evaluation_does_not_change_the_model(model, send):
    advance(model, Status.RUNNING)
    advance(model, Status.DONE)
    (model.dataset.directory / "val.rec").write_bytes(b"")
    found = evaluate_now(send, model)
    model.refresh_from_db()
    assert (found["status"], model.status) == ("Error", Status.DONE)
    assert "is damaged" in found["error"]


def test_an_evaluation_that_waits_or_is_done_is_not_repeated(send, model):
    first = send("post", model)[1]
    assert send("post", model)[1] == first
    evaluate(first["job_id"])
    assert send("post", model)[1] == first | {"status": "Done"}
    assert Evaluation.objects.count() == 1


def test_an_aborted_evaluation_is_repeated_on_request(send, model, client):
    job = send("post", model)[1]
    client.post(f"/jobs/{job['job_id']}/abort.json")
    assert send("get", model)[1]["status"] == "Aborted"
    assert send("post", model)[1]["job_id"] == job["job_id"]
    assert evaluate_now(send, model)["status"] == "Done"


def test_an_evaluation_waits_in_the_queue_of_the_io_workers_and_reports_its_progress(send, model, client):
    job = send("post", model, {"snapshot_epoch": -1})[1]
    dispatch()
    assert job["job_id"] in queued("io")
    status = client.get(f"/jobs/{job['job_id']}/status.json").json()
    assert (status["status"], status["type"], status["progress"]) == ("Waiting", "Model Evaluation", 0)
    found = send("get", model)[1]
    assert (found["status"], found["snapshot_epoch"], "accuracy" in found) == ("Waiting", 2, False)


def test_a_request_without_an_epoch_returns_the_evaluation_of_the_snapshot_that_answers_else_the_latest(send, model):
    evaluate_now(send, model, snapshot_epoch=1)
    assert send("get", model)[1]["snapshot_epoch"] == 1
    evaluate_now(send, model)
    model.evaluations.filter(epoch=1).update(ended_at=timezone.now())
    assert send("get", model)[1]["snapshot_epoch"] == 2


def test_the_test_split_has_an_evaluation_of_its_own(make_dataset, make_model, send):
    dataset = make_dataset(folder_pct_test=20)
    build_dataset(dataset.pk)
    model = make_model(dataset)
    add_snapshot(model, 1, seed=1)
    found = evaluate_now(send, model, split="test")
    assert found["images"] == type(dataset).objects.get().entries("test")
    assert send("get", model, {"split": "val"})[0] == 404


def test_a_request_without_anything_to_evaluate_is_refused(built_dataset, make_model, send, model):
    assert send("post", make_model(built_dataset))[0] == 409  # no snapshot yet
    status, body = send("post", model, {"split": "test"})
    assert (status, body["error"]["description"]) == (409, "The dataset of lenet has no images for test.")
    status, body = send("post", model, {"snapshot_epoch": 7})
    assert (status, body["error"]["description"]) == (400, "lenet has no snapshot of epoch 7; its epochs are: 1, 2.")
    assert send("post", model, {"split": "train"})[0] == 400
    assert send("get", built_dataset)[0] == send("post", built_dataset)[0] == 404
    assert send("get", model)[0] == 404


def test_a_missing_evaluation_is_reported_with_the_reason_and_advice(built_dataset, make_model, send, model):
    responses = {
        "send a POST to this address to create one": send("get", model),
        "has no images for test.": send("get", model, {"split": "test"}),
        "lenet has no snapshot of epoch 7; its epochs are: 1, 2.": send("get", model, {"snapshot_epoch": 7}),
        "has no snapshot yet.": send("get", make_model(built_dataset)),
    }
    generic = make_model(built_dataset)
    type(generic).objects.filter(pk=generic.pk).update(kind="generic")
    responses["is not a classifier; only classifiers can be evaluated."] = send("get", generic)
    assert {status for status, _ in responses.values()} == {404}
    assert all(body["error"]["description"].endswith((text, f"{text}.")) for text, (_, body) in responses.items())
    assert send("post", generic)[0] == 409


def test_evaluations_are_not_in_the_list_of_jobs_and_are_deleted_with_their_model(send, model, client):
    evaluation = find_job(send("post", model)[1]["job_id"])
    assert evaluation.directory.is_dir()
    assert set(client.get("/index.json").json()) == {"datasets", "models"}
    jobs.delete(model)
    assert not Evaluation.objects.exists()
    assert not evaluation.directory.exists()


def test_the_address_of_an_evaluation_job_redirects_to_its_page(send, model, client):
    job_id = send("post", model)[1]["job_id"]
    page = client.post(f"/models/{model.pk}/evaluation", {}, headers={"accept": "text/html"}).url
    assert client.get(f"/jobs/{job_id}").url == page == f"/models/{model.pk}/evaluation?split=val&snapshot_epoch=2"
    assert f'href="/models/{model.pk}/evaluation"' in client.get(f"/models/{model.pk}").content.decode()
    assert json.loads(client.get(f"/jobs/{job_id}.json", follow=True).content)["id"] == job_id
    assert b"<h1>lenet, val at epoch 2" in client.get(page, headers={"accept": "text/html"}).content


def test_the_page_of_an_evaluation_shows_its_figures_and_leaves_many_categories_to_the_json(send, model, client):
    found = evaluate_now(send, model, snapshot_epoch=1)
    address = f"/models/{model.pk}/evaluation?split=val&snapshot_epoch=1"
    page = client.get(address, headers={"accept": "text/html"}).content.decode()
    worst, images = found["most_confused"][0], found["categories"][9]["support"]
    shown = [
        f'<td>{worst["category"]}</td><td>{worst["answer"]}</td><td class="number">{worst["images"]}</td>',
        f"{100 * found['accuracy']:.2f} %",
        f'<td class="number">{images}</td></tr>',
    ]
    assert all(text in page for text in shown)
    Evaluation.objects.update(categories=found["categories"][:1] * 101)
    page = client.get(address, headers={"accept": "text/html"}).content.decode()
    assert f'href="/models/{model.pk}/evaluation.json?split=val&amp;snapshot_epoch=1"' in page
    assert len(send("get", model)[1]["categories"]) == 101


def test_the_page_of_an_evaluation_offers_to_abort_it_and_to_delete_it(send, model, client):
    job = send("post", model)[1]["job_id"]
    page = client.get(f"/models/{model.pk}/evaluation", headers={"Accept": "text/html"}).content.decode()
    assert 'value="abort"' in page
    assert f'name="next" value="/models/{model.pk}"' in page
    client.post("/pages/jobs/action", {"action": "abort", "ids": job})
    assert send("get", model)[1]["status"] == "Aborted"


def test_the_surest_errors_and_the_images_of_a_cell_can_be_ticked_for_a_revision(send, model, client):
    worst = evaluate_now(send, model)["worst_errors"][0]
    page = client.get(f"/models/{model.pk}/evaluation", headers={"Accept": "text/html"}).content.decode()
    address = f"/pages/datasets/{model.dataset_id}/revision"
    assert f'<form action="{address}" method="POST" data-ticks="{model.dataset_id}">' in page
    tick = f"error:val/{worst['record']}"
    assert f'name="tick" value="{tick}"' in page
    preview = client.post(address, {"tick": tick, f"to:{tick}": worst["answer"]}, headers={"Accept": "text/html"})
    assert f"{worst['category']} → {worst['answer']}" in preview.content.decode()
    names = model.dataset.category_names
    cell = {"split": "val", "epoch": 2} | {
        asked: names.index(worst[name]) for asked, name in (("true", "category"), ("predicted", "answer"))
    }
    page = client.get(f"/models/{model.pk}/evaluation/cell", cell, headers={"Accept": "text/html"}).content.decode()
    assert f'name="tick" value="cell:val/{worst["record"]}"' in page


def test_an_evaluation_of_a_deleted_snapshot_fails_with_the_reason(send, model):
    job_id = send("post", model, {"snapshot_epoch": 2})[1]["job_id"]
    model.snapshots.all().delete()
    evaluate(job_id)
    assert find_job(job_id).error == "The snapshot of epoch 2 was deleted."
