"""One snapshot means the same everywhere: the newest while a model trains, the best validated one once it is Done,
unless a request names an epoch, `latest` (or -1) or `best`."""

import csv
import io
import json
import re

import pytest
from django.core.management import call_command

from digits_project.jobs.models import Status
from models_app import evaluations
from models_app.models import TrainedModel
from models_app.results import BEST, NEWEST, Metric, Snapshot
from tests.support.samples.row_samples import add_snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_roots")]

CLASSIFIER = "/models/images/classification"
BEST_EPOCH, NEWEST_EPOCH = 2, 3
DOORS = ("classify_one", "classify_many", "download", "evaluation", "export_model")
UNFINISHED = (Status.INITIALIZED, Status.WAITING, Status.RUNNING, Status.ABORTED, Status.ERROR)


@pytest.fixture
def model(built_dataset, make_model):
    """A model with snapshots at the epochs 1 to 3; the one of epoch 2 is the best."""
    model = make_model(built_dataset)
    for epoch, accuracy in ((1, 0.5), (2, 0.9), (3, 0.7)):
        add_snapshot(model, epoch, seed=epoch)
        Metric.objects.create(
            trained_model=model, split="val", epoch=epoch, accuracy=accuracy, loss=1, learning_rate=0.01
        )
    return model


@pytest.fixture
def done(model):
    TrainedModel.objects.filter(pk=model.pk).update(status=Status.DONE)
    model.refresh_from_db()
    return model


def classify_one(client, model, image, named):
    response = client.post(f"{CLASSIFIER}/classify_one.json", {"job_id": model.pk, "image_path": image, **named})
    return float(response["X-Digits-Snapshot"]), next(iter(response.json()["predictions"].items()))


def classify_many(client, model, image, named):
    listed = {"job_id": model.pk, "image_list": str(image), **named}
    return float(client.post(f"{CLASSIFIER}/classify_many.json", listed)["X-Digits-Snapshot"])


def downloaded(client, model, named):
    epoch = {"epoch": named["snapshot_epoch"]} if named else {}
    response = client.get(f"/models/{model.pk}/download.zip", epoch)
    assert b"".join(response.streaming_content)
    return float(re.search(r"_epoch_([\d.]+)\.zip", response["Content-Disposition"])[1])


def evaluated(client, model, named):
    asked = {"split": "val", **named}
    return client.post(f"/models/{model.pk}/evaluation.json", asked).json()["snapshot_epoch"]


def exported(model, named, capsys, tmp_path):
    option = [f"--snapshot-epoch={named['snapshot_epoch']}"] if named else []
    capsys.readouterr()
    call_command("export_model", model.pk, "-o", tmp_path / "model.zip", "--json", *option)
    return json.loads(capsys.readouterr().out)["epoch"]


NAMED = [
    ({}, BEST_EPOCH),
    ({"snapshot_epoch": ""}, BEST_EPOCH),
    ({"snapshot_epoch": "best"}, BEST_EPOCH),
    ({"snapshot_epoch": "latest"}, NEWEST_EPOCH),
    ({"snapshot_epoch": "-1"}, NEWEST_EPOCH),
    ({"snapshot_epoch": "1"}, 1),
]


@pytest.fixture
def doors(client, image, ranking, capsys, tmp_path):
    """A function that asks every door for a snapshot of a model, and returns the epoch that each takes."""

    def doors(model, named):
        epoch, answer = classify_one(client, model, image, named)
        assert list(answer) == ranking(image, epoch)[0]
        return {
            "classify_one": epoch,
            "classify_many": classify_many(client, model, image, named),
            "download": downloaded(client, model, named),
            "evaluation": evaluated(client, model, named),
            "export_model": exported(model, named, capsys, tmp_path),
        }

    return doors


@pytest.mark.parametrize("named, epoch", NAMED)
def test_every_door_takes_the_same_snapshot_of_a_model_that_is_done(doors, done, named, epoch):
    assert doors(done, named) == dict.fromkeys(DOORS, epoch)


@pytest.mark.parametrize("named, epoch", [({}, NEWEST_EPOCH), *NAMED[2:]])
def test_every_door_takes_the_newest_snapshot_while_a_model_trains(doors, model, named, epoch):
    TrainedModel.objects.filter(pk=model.pk).update(status=Status.RUNNING)
    assert doors(model, named) == dict.fromkeys(DOORS, epoch)


def test_the_newest_answers_in_every_status_but_done(model):
    found = {}
    for status in (*UNFINISHED, Status.DONE):
        TrainedModel.objects.filter(pk=model.pk).update(status=status)
        found[status] = model.snapshot_at().epoch
    assert found == dict.fromkeys(UNFINISHED, NEWEST_EPOCH) | {Status.DONE: BEST_EPOCH}


def test_commands_classify_with_the_best_snapshot_of_a_model_that_is_done(done, image, ranking, capsys):
    call_command("classify", done.pk, str(image), "--top", 1)
    _, row = csv.reader(io.StringIO(capsys.readouterr().out))
    [category, percent] = ranking(image, BEST_EPOCH)[0]
    assert (row[1], float(row[2])) == (category, percent)


def test_the_admin_offers_the_snapshot_that_answers_and_marks_best_and_latest(admin_client, done):
    page = admin_client.get(f"/admin/models_app/trainedmodel/{done.pk}/change/").content.decode()
    for form in ("snapshot_epoch", "epoch"):
        options = page.partition(f'<select name="{form}">')[2].partition("</select>")[0]
        assert re.findall(r'value="([\d.]+)"( selected)?>([^<]+)<', options) == [
            ("3.0", "", "epoch 3, latest"), ("2.0", " selected", "epoch 2, best"), ("1.0", "", "epoch 1"),
        ]  # fmt: skip
    table = page.partition('id="snapshots"')[2].partition("</section>")[0]
    assert re.findall(r"d-badge[^>]*>([^<]+)<", table) == ["latest", "best"]


def test_the_page_and_the_json_of_a_model_mark_the_snapshots(client, model):
    facts = client.get(f"/models/{model.pk}.json").json()
    assert facts["snapshots"] == [1, 2, 3]
    assert (facts["latest_snapshot"], facts["best_snapshot"], facts["default_snapshot"]) == (3, 2, 3)
    TrainedModel.objects.filter(pk=model.pk).update(status=Status.DONE)
    assert client.get(f"/models/{model.pk}.json").json()["default_snapshot"] == 2
    page = client.get(f"/models/{model.pk}", headers={"Accept": "text/html"}).content.decode()
    rows = [row.partition("</tr>")[0] for row in page.partition('id="snapshots"')[2].split("<tr>")[2:5]]
    marks = [(re.search(r"number\">(\d)<", row)[1], re.findall(r">(best|newest)<", row)) for row in rows]
    assert marks == [("3", ["newest"]), ("2", ["best"]), ("1", [])]


def test_without_a_validation_the_newest_snapshot_of_a_model_that_is_done_answers(done):
    done.metrics.all().delete()
    assert [done.snapshot_at(which).epoch for which in (None, BEST, NEWEST)] == [3, 3, 3]


def test_an_evaluation_of_a_deleted_snapshot_is_still_found_by_its_epoch(done):
    asked = evaluations.evaluate(done, "val", 1.0)
    done.snapshots.filter(epoch=1).delete()
    assert evaluations.find(done, "val", 1.0) == asked
    assert evaluations.find(done, "val", BEST) is None


def test_a_snapshot_that_is_neither_an_epoch_nor_a_name_is_refused_by_its_field(client, done, image):
    response = client.post(
        f"{CLASSIFIER}/classify_one.json", {"job_id": done.pk, "image_path": image, "snapshot_epoch": "worst"}
    )
    assert response.json()["errors"] == [
        {"field": "snapshot_epoch", "message": "This must be an epoch, best or latest."}
    ]


def test_the_best_snapshot_has_the_highest_accuracy_and_then_the_lowest_loss(make_dataset, make_model):
    model = make_model(make_dataset())
    for epoch, accuracy, loss in ((1, 0.8, 0.5), (2, 0.9, 0.4), (3, 0.9, 0.3), (4, 0.7, 0.1)):
        Snapshot.objects.create(trained_model=model, epoch=epoch, folder=f"snapshots/{epoch}")
        Metric.objects.create(
            trained_model=model, split="val", epoch=epoch, loss=loss, accuracy=accuracy, learning_rate=0.01
        )
    Snapshot.objects.create(trained_model=model, epoch=5, folder="snapshots/5")  # never validated
    assert (model.best_snapshot.epoch, model.newest_snapshot.epoch) == (3, 5)
