"""The life of a network of timm: trained, killed, resumed, evaluated, asked, taken away, and trained further."""

import io
import json
import os
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from digits_project.jobs.models import Status
from inference.tasks import evaluate
from models_app import trainer_process
from models_app.models import TrainedModel
from models_app.pretrained import importing

pytestmark = [
    pytest.mark.django_db, pytest.mark.usefixtures("open_server"), pytest.mark.torch, pytest.mark.slow(40),
    pytest.mark.timeout(600),
]  # fmt: skip
CREATE = "/models/images/classification.json"
ATTO = "timm/convnext_atto"


@pytest.fixture
def kill_after_snapshot(monkeypatch):
    """Kill the next trainer when it reports its first snapshot."""
    listen = trainer_process._listen

    def watched(process, *others):
        monkeypatch.setattr(trainer_process, "_listen", listen)
        for event in listen(process, *others):
            yield event
            if event and event["event"] == "snapshot":
                os.kill(process.pid, signal.SIGKILL)

    monkeypatch.setattr(trainer_process, "_listen", watched)


def ask(client, model, digits_folder):
    """{category: percentage} of the first digit, by the server."""
    picture = min(digits_folder.rglob("*.png"))
    asked = {"job_id": model.pk, "image_path": str(picture)}
    found = client.post("/models/images/classification/classify_one.json", asked)
    assert found.status_code == 200, found.content
    return picture, dict(found.json()["predictions"])


def test_convnext_atto_is_trained_killed_resumed_evaluated_asked_and_taken_away(
    client, built_dataset, run_training_task, kill_after_snapshot, digits_folder, settings, tmp_path
):
    settings.DIGITS_DATA_ROOTS = [digits_folder]
    form = {"model_name": "atto", "dataset": built_dataset.pk, "standard_networks": ATTO, "input_size": 32,
            "train_epochs": 2, "solver_type": "ADAMW", "learning_rate": 0.001, "random_seed": 1}  # fmt: skip
    assert client.post(CREATE, form).status_code == 200
    model = TrainedModel.objects.get()
    assert (model.usable_engines, model.use_mean, model.batch_size) == (["torch"], "network", 32)
    assert (run_training_task(model).status, model.lost_processes) == (Status.WAITING, 1)
    assert (run_training_task(model).status, model.error) == (Status.DONE, "")
    assert model.resumed_from == 0.5
    assert [snapshot.epoch for snapshot in model.snapshots.order_by("epoch")] == [1, 2]
    assert model.engine_used.startswith("torch ")

    picture, answers = ask(client, model, digits_folder)
    content = b"".join(client.get(f"/models/{model.pk}/download.zip").streaming_content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path / "elsewhere")
    script = [sys.executable, "-I", tmp_path / "elsewhere" / "classify.py", "--json", picture]
    done = subprocess.run(script, capture_output=True, text=True, cwd="/")
    [alone] = json.loads(done.stdout)["classifications"].values()
    names = [category for category, _ in alone]
    np.testing.assert_allclose([p for _, p in alone], [answers[name] for name in names], atol=0.011)
    assert not (tmp_path / "elsewhere" / "network.prototxt").exists()

    evaluation = model.evaluations.get()
    evaluate(evaluation.pk)
    evaluation.refresh_from_db()
    assert evaluation.status == Status.DONE

    shown = {"job_id": model.pk, "image_path": str(picture)}
    response = client.post("/models/images/classification/classify_one.json?visualizations=1", shown)
    assert response.status_code == 200, response.content[:500]
    layers = response.json()["visualizations"]
    assert {"stem.0", "stages.3.blocks.1.mlp.fc2", "softmax"} <= {layer["name"] for layer in layers}

    row = importing.from_snapshot("ada", model.newest_snapshot)
    assert (row.standard_network, row.categories, row.afresh) == (ATTO, 10, [])
    with (tmp_path / "archive.zip").open("wb") as file:
        file.write(content)
    with (tmp_path / "archive.zip").open("rb") as file:
        again = importing.from_archive("ada", file, "archive.zip")
    assert (again.standard_network, again.categories) == (ATTO, 10)

    head = {"model_name": "head", "dataset": built_dataset.pk, "pretrained_networks": row.pk, "recipe": "features",
            "train_epochs": 1, "random_seed": 1}  # fmt: skip
    assert client.post(CREATE, head).status_code == 200
    tuned = TrainedModel.objects.get(name="head")
    assert (tuned.feature_views, tuned.train_layers, tuned.input_size) == (1, "head", 32)
    assert (run_training_task(tuned).status, tuned.error) == (Status.DONE, "")
    assert tuned.afresh == []
    assert sorted(path.name.partition("-")[0] for path in built_dataset.directory.glob("*.features")) == [
        "train",
        "val",
    ]
