"""Each recipe trains, from a form to predictions, and resumes to the same bits."""

import os
import signal

import pytest

from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from tests.models_app.test_resume import assert_same_bits, on_event  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/classification.json"
SHORT = {"train_epochs": 2, "batch_size": 32, "random_seed": 1, "input_size": 32}


@pytest.fixture
def colors(make_built):
    """A dataset of digits as 32×32 color images that is Done."""
    return make_built(resize_width=32, resize_height=32, resize_channels=3)


@pytest.fixture
def train(client, run_training_task):
    """A function that creates a model by a recipe and trains it."""

    def train(dataset, **fields):
        response = client.post(CREATE, {"model_name": "net", "dataset": dataset.pk} | SHORT | fields)
        assert response.status_code == 200, response.content
        return run_training_task(TrainedModel.objects.get(pk=response.json()["id"]))

    return train


@pytest.mark.parametrize(
    "fields, network",
    [
        ({"recipe": "features"}, "efficientnet_lite0"),
        ({"recipe": "finetune", "head_epochs": 1}, "efficientnet_lite0"),
        ({"recipe": "scratch"}, "lenet"),
        ({"recipe": "auto", "head_epochs": 1}, "efficientnet_lite0"),
    ],
    ids=["features", "finetune", "scratch", "auto"],
)
def test_a_recipe_trains_and_its_model_answers(client, colors, digits_folder, train, fields, network):
    model = train(colors, **fields)
    assert (model.status, model.error) == (Status.DONE, "")
    assert model.standard_network == network
    assert model.metrics.filter(split="val").exists()
    with next(digits_folder.glob("*/*.png")).open("rb") as image:
        answer = client.post(
            "/models/images/classification/classify_one.json", {"job_id": model.pk, "image_file": image}
        )
    assert len(answer.json()["predictions"]) == 5


@pytest.mark.timeout(400)
def test_a_finetuning_whose_trainer_was_killed_after_its_head_epochs_resumes_to_the_same_bits(
    colors,
    train,
    run_training_task,
    on_event,  # noqa: F811
):
    fields = {"recipe": "finetune", "train_epochs": 2, "head_epochs": 1, "snapshot_interval": 0.5}
    whole = train(colors, **fields)
    on_event("snapshot", lambda pid: os.kill(pid, signal.SIGKILL), epoch=0.5)
    model = train(colors, **fields)
    assert (model.status, model.lost_processes) == (Status.WAITING, 1)
    on_event("snapshot", lambda pid: os.kill(pid, signal.SIGKILL), epoch=1)
    assert run_training_task(model).status == Status.WAITING
    assert run_training_task(model).status == Status.DONE
    assert_same_bits(model, whole)
