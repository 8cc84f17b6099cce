"""/models/<id>/evaluation: asked for, made by a worker's task, and read."""

import json

import numpy as np
import pytest
from sklearn import metrics

from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.store.records import RecordReader
from datasets.tasks import build_dataset
from digits_project.jobs import services as jobs
from digits_project.jobs.lifecycle import advance
from digits_project.jobs.models import Device, Status, find_job
from digits_project.jobs.scheduling.dispatch import dispatch
from inference.engine.predictor import Predictor
from inference.tasks import evaluate
from models_app.results import Evaluation
from models_app.tasks import train_model
from tests.jobs.test_jobs_dispatch import queued
from tests.support.samples.row_samples import add_snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]


@pytest.fixture
def model(built_dataset, make_model):
    """A model that waits, with two snapshots of random weights."""
    model = make_model(built_dataset)
    for epoch in (1, 2):
        add_snapshot(model, epoch, seed=epoch)
    return model


@pytest.fixture
def ask(client):
    """POST and GET of a model's evaluation: the status and the JSON."""

    def ask(method, model, data=None):
        answer = getattr(client, method)(f"/models/{model.pk}/evaluation.json", data or {})
        return answer.status_code, answer.json()

    return ask


def evaluated(ask, model, **form):
    """The evaluation, made."""
    evaluate(ask("post", model, form)[1]["job_id"])
    return ask("get", model, form)[1]


def scores_of(snapshot, split="val"):
    with RecordReader(snapshot.trained_model.dataset.directory / f"{split}.rec") as reader:
        records = [reader[number] for number in range(len(reader))]
    pixels = np.stack([decode_record(payload) for _, payload in records])
    return np.array([label for label, _ in records], int), Predictor(snapshot.onnx_file).scores(pixels)


def test_the_figures_of_a_snapshot_are_those_of_scikit_learn(ask, model):
    found = evaluated(ask, model, snapshot_epoch=2)
    truths, scores = scores_of(model.snapshot_at(2))
    answers = scores.argmax(axis=1)
    assert (found["status"], found["snapshot_epoch"], found["split"]) == ("Done", 2, "val")
    assert found["images"] == len(truths)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truths, answers))
    assert found["loss"] == pytest.approx(metrics.log_loss(truths, scores, labels=range(10)), rel=1e-5)
    assert found["confusion_matrix"] == metrics.confusion_matrix(truths, answers, labels=range(10)).tolist()
    assert found["top_5_accuracy"] == pytest.approx(metrics.top_k_accuracy_score(truths, scores, k=5, labels=range(10)))
    columns = metrics.precision_recall_fscore_support(truths, answers, labels=range(10), zero_division=0)
    for name, column in zip(("precision", "recall", "f1", "support"), columns, strict=True):
        assert [fares[name] for fares in found["categories"]] == pytest.approx(column.tolist())
    names, worst = model.dataset.categories, found["most_confused"][0]
    confused = found["confusion_matrix"][names.index(worst["category"])][names.index(worst["answer"])]
    assert confused == worst["images"] == max(error["images"] for error in found["most_confused"])
    assert [fares["category"] for fares in found["categories"]] == model.dataset.categories


def test_the_worst_errors_name_the_files_that_the_records_were_made_from(ask, model):
    found = evaluated(ask, model, snapshot_epoch=1)
    lines = (model.dataset.directory / "val.txt").read_text().splitlines()
    assert found["worst_errors"]
    for error in found["worst_errors"]:
        path, label = lines[error["record"]].rsplit(" ", 1)
        assert (error["path"], error["category"]) == (path, model.dataset.categories[int(label)])
        assert error["answer"] != error["category"]


def test_a_classifier_is_evaluated_after_its_training(built_dataset, make_model, cpu, ask):
    model = make_model(built_dataset)
    Device.objects.update(leased_to=model.pk)
    train_model(model.pk)
    evaluation = model.evaluations.get()
    assert (evaluation.status, evaluation.owner, evaluation.split) == (Status.WAITING, "ada", "val")
    evaluate(evaluation.pk)
    measured = model.metrics.get(split="val")
    found = ask("get", model)[1]
    assert found["accuracy"] == pytest.approx(measured.accuracy)
    assert found["loss"] == pytest.approx(measured.loss, rel=1e-4)


def test_an_evaluation_that_fails_leaves_the_model_as_it_was(model, ask):
    advance(model, Status.RUNNING)
    advance(model, Status.DONE)
    (model.dataset.directory / "val.rec").write_bytes(b"")
    found = evaluated(ask, model)
    model.refresh_from_db()
    assert (found["status"], model.status) == ("Error", Status.DONE)
    assert "is damaged" in found["error"]


def test_what_is_there_or_on_its_way_is_not_done_again(ask, model):
    first = ask("post", model)[1]
    assert ask("post", model)[1] == first
    evaluate(first["job_id"])
    assert ask("post", model)[1] == first | {"status": "Done"}
    assert Evaluation.objects.count() == 1


def test_what_failed_is_tried_again(ask, model, client):
    asked = ask("post", model)[1]
    client.post(f"/jobs/{asked['job_id']}/abort.json")
    assert ask("get", model)[1]["status"] == "Aborted"
    assert ask("post", model)[1]["job_id"] == asked["job_id"]
    assert evaluated(ask, model)["status"] == "Done"


def test_it_waits_in_the_queue_of_the_io_workers_and_tells_how_far_it_is(ask, model, client):
    asked = ask("post", model, {"snapshot_epoch": -1})[1]
    dispatch()
    assert asked["job_id"] in queued("io")
    status = client.get(f"/jobs/{asked['job_id']}/status.json").json()
    assert (status["status"], status["type"], status["progress"]) == ("Waiting", "Model Evaluation", 0)
    found = ask("get", model)[1]
    assert (found["status"], found["snapshot_epoch"], "accuracy" in found) == ("Waiting", 2, False)


def test_without_an_epoch_the_answer_is_the_latest_that_is_done(ask, model):
    evaluated(ask, model, snapshot_epoch=2)
    evaluated(ask, model, snapshot_epoch=1)
    ask("post", model, {"snapshot_epoch": 2, "split": "val"})
    assert ask("get", model)[1]["snapshot_epoch"] == 1


def test_the_split_for_testing_is_another_evaluation(make_dataset, make_model, ask):
    dataset = make_dataset(folder_pct_test=20)
    build_dataset(dataset.pk)
    model = make_model(dataset)
    add_snapshot(model, 1, seed=1)
    found = evaluated(ask, model, split="test")
    assert found["images"] == type(dataset).objects.get().entries("test")
    assert ask("get", model, {"split": "val"})[0] == 404


def test_who_has_nothing_to_evaluate_is_refused(built_dataset, make_model, ask, model):
    assert ask("post", make_model(built_dataset))[0] == 409  # no snapshot yet
    status, said = ask("post", model, {"split": "test"})
    assert (status, said["error"]["description"]) == (409, "Its dataset, digits, has no images for test.")
    status, said = ask("post", model, {"snapshot_epoch": 7})
    assert (status, said["error"]["description"]) == (400, "lenet has no snapshot of epoch 7; it has 1, 2.")
    assert ask("post", model, {"split": "train"})[0] == 400
    assert ask("get", built_dataset)[0] == ask("post", built_dataset)[0] == 404
    assert ask("get", model)[0] == 404


def test_who_asks_for_what_is_not_there_is_told_why_and_what_to_do(built_dataset, make_model, ask, model):
    said = {
        "a POST to this address asks for one": ask("get", model),
        "has no images for test.": ask("get", model, {"split": "test"}),
        "lenet has no snapshot of epoch 7; it has 1, 2.": ask("get", model, {"snapshot_epoch": 7}),
        "has no snapshot yet.": ask("get", make_model(built_dataset)),
    }
    generic = make_model(built_dataset)
    type(generic).objects.filter(pk=generic.pk).update(kind="generic")
    said["is no classifier; only of those is known what is right."] = ask("get", generic)
    assert {status for status, _ in said.values()} == {404}
    assert all(answer["error"]["description"].endswith((text, f"{text}.")) for text, (_, answer) in said.items())
    assert ask("post", generic)[0] == 409


def test_evaluations_are_no_part_of_the_list_of_jobs_and_go_with_their_model(ask, model, client):
    evaluation = find_job(ask("post", model)[1]["job_id"])
    assert evaluation.directory.is_dir()
    assert set(client.get("/index.json").json()) == {"datasets", "models"}
    jobs.delete(model)
    assert not Evaluation.objects.exists()
    assert not evaluation.directory.exists()


def test_the_address_of_the_job_leads_to_its_page(ask, model, client):
    job_id = ask("post", model)[1]["job_id"]
    page = client.post(f"/models/{model.pk}/evaluation", {}, headers={"accept": "text/html"}).url
    assert client.get(f"/jobs/{job_id}").url == page == f"/models/{model.pk}/evaluation?split=val&snapshot_epoch=2"
    assert f'href="/models/{model.pk}/evaluation"' in client.get(f"/models/{model.pk}").content.decode()
    assert json.loads(client.get(f"/jobs/{job_id}.json", follow=True).content)["id"] == job_id
    assert b"<h1>lenet, val at epoch 2" in client.get(page, headers={"accept": "text/html"}).content


def test_a_page_shows_what_was_measured_and_many_categories_in_the_json_only(ask, model, client):
    found = evaluated(ask, model, snapshot_epoch=1)
    address = f"/models/{model.pk}/evaluation?split=val&snapshot_epoch=1"
    page = client.get(address, headers={"accept": "text/html"}).content.decode()
    worst, images = found["most_confused"][0], found["categories"][9]["support"]
    shown = [
        f"<td>{worst['category']}</td><td>{worst['answer']}</td><td>{worst['images']}</td>",
        f"{100 * found['accuracy']:.2f} %",
        f"<td>{images}</td></tr>",
        "confusion_matrix",
    ]
    assert all(text in page for text in shown)
    Evaluation.objects.update(categories=found["categories"][:1] * 101)
    page = client.get(address, headers={"accept": "text/html"}).content.decode()
    assert "confusion_matrix" not in page
    assert f'href="/models/{model.pk}/evaluation.json?split=val&amp;snapshot_epoch=1"' in page
    assert len(ask("get", model)[1]["categories"]) == 101


def test_a_snapshot_that_is_gone_is_told(ask, model):
    job_id = ask("post", model, {"snapshot_epoch": 2})[1]["job_id"]
    model.snapshots.all().delete()
    evaluate(job_id)
    assert find_job(job_id).error == "The snapshot of epoch 2 is gone."
