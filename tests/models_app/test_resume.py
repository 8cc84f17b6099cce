"""A training that lost its process, was aborted, or failed goes on from its newest snapshot, to the same bits."""

import os
import re
import signal

import numpy as np
import pytest
from django.utils import timezone

from digits_project.jobs.models import Device, Status
from digits_project.jobs.services import resume
from models_app import trainer_process
from models_app.models import Snapshot
from models_app.tasks import train_model
from models_app.training.snapshots.snapshot_reader import load_arrays

pytestmark = pytest.mark.django_db
EPOCHS = {"train_epochs": 2, "snapshot_interval": 0.5, "batch_size": 16}


@pytest.fixture
def work_on(cpu):
    """Let a worker's task run a waiting model; the row after it."""

    def work_on(model):
        Device.objects.update(leased_to=model.pk)
        train_model(model.pk)
        model.refresh_from_db()
        return model

    return work_on


@pytest.fixture
def undisturbed(built_dataset, make_model, work_on):
    """A training that nothing happened to."""
    model = work_on(make_model(built_dataset, **EPOCHS))
    assert model.status == Status.DONE
    return model


@pytest.fixture
def at(monkeypatch):
    """In the next training, once it has told such an event, `act(pid of the trainer)` is called."""

    def at(name, act, **fields):
        listen = trainer_process._listen

        def watched(process):
            monkeypatch.setattr(trainer_process, "_listen", listen)
            for event in listen(process):
                yield event
                if event and {"event": name, **fields}.items() <= event.items():
                    act(process.pid)

        monkeypatch.setattr(trainer_process, "_listen", watched)

    return at


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def weights_of(model):
    return load_arrays(model.newest_snapshot.directory / "weights.npz")


def assert_same_bits(model, other):
    one, two = weights_of(model), weights_of(other)
    assert all(np.array_equal(one[name], two[name]) for name in one)


def curve(model):
    return list(model.metrics.order_by("split", "iteration").values_list("split", "iteration", "loss"))


def test_a_training_whose_trainer_was_killed_goes_on_to_the_same_bits(
    undisturbed, built_dataset, make_model, work_on, at
):
    at("snapshot", kill, epoch=1)
    model = work_on(make_model(built_dataset, **EPOCHS))
    assert (model.status, model.lost_processes) == (Status.WAITING, 1)
    assert "killed by SIGKILL" in model.status_history[-1][2]
    assert re.search(r"it had taken \d+\.\d GiB, and there are \d+\.\d GiB \(", model.status_history[-1][2])
    assert "Take a smaller batch_size" in model.status_history[-1][2]
    first, share = Snapshot.objects.get(trained_model=model, epoch=0.5).created_at, model.newest_snapshot.epoch / 2
    assert model.resumed_from == 0
    assert work_on(model).status == Status.DONE
    assert model.resumed_from == share >= 0.5
    assert_same_bits(model, undisturbed)
    assert Snapshot.objects.get(trained_model=model, epoch=0.5).created_at == first  # not trained again
    assert curve(model) == curve(undisturbed)


def test_what_was_not_told_before_the_loss_is_made_again(built_dataset, make_model, work_on, at):
    at("snapshot", kill, epoch=1)
    model = work_on(make_model(built_dataset, **EPOCHS))
    for name in ("epoch-9", ".partial-epoch-1.5"):
        (model.directory / "snapshots" / name).mkdir(exist_ok=True)
    assert work_on(model).status == Status.DONE
    left = {path.name for path in (model.directory / "snapshots").iterdir()}
    assert left == {f"epoch-{n / 2:g}" for n in range(1, 5)}


def test_a_damaged_snapshot_is_passed_over(built_dataset, make_model, work_on, at, caplog):
    at("snapshot", kill, epoch=1)
    model = work_on(make_model(built_dataset, **EPOCHS))
    newest, before = model.snapshots.order_by("-iteration")[:2]
    with (newest.directory / "weights.npz").open("r+b") as file:
        file.seek(100)
        file.write(b"damage")
    assert work_on(model).status == Status.DONE
    assert f"goes on from epoch {before.epoch:g}" in caplog.text


def test_three_losses_without_a_snapshot_are_an_error_and_a_snapshot_begins_the_count_again(
    built_dataset, make_model, work_on, at
):
    model = make_model(built_dataset, **EPOCHS | {"train_epochs": 400, "snapshot_interval": 200})
    type(model).objects.update(lost_processes=2)
    at("snapshot", kill, epoch=200)
    assert (work_on(model).status, model.lost_processes) == (Status.WAITING, 1)
    type(model).objects.update(lost_processes=2)
    half = model.directory / "snapshots" / ".partial-epoch-2"
    at("started", lambda pid: (half.mkdir(), kill(pid)))
    assert work_on(model).status == Status.ERROR
    assert not half.exists()
    assert "It has lost 3 processes without a new snapshot" in model.error


def test_an_aborted_training_is_resumed_where_it_was(built_dataset, make_model, work_on, at, caplog):
    model = make_model(built_dataset, **EPOCHS)
    at("snapshot", lambda pid: type(model).objects.update(abort_requested_at=timezone.now()), epoch=1)
    assert work_on(model).status == Status.ABORTED
    resume(model)
    assert (model.status, model.abort_requested_at) == (Status.WAITING, None)
    assert work_on(model).status == Status.DONE
    assert "goes on from epoch" in caplog.text
