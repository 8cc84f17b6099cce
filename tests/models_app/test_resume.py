"""A training that lost its process, was aborted, or failed resumes from its newest snapshot, to the same bits."""

import os
import re
import signal

import numpy as np
import pytest
from django.utils import timezone

from digits_project.jobs.models import Status
from digits_project.jobs.services import resume
from models_app import trainer_process
from models_app.models import Snapshot
from models_app.training.snapshots.snapshot_reader import read_snapshot

pytestmark = pytest.mark.django_db
EPOCHS = {"train_epochs": 4, "snapshot_interval": 0.5, "batch_size": 16}


# Settings of the solver with which a resumed training must have the same bits.
OPTIMIZERS = {
    "ADAMW": {"solver_type": "ADAMW", "lr_policy": "cosine", "lr_warmup": 10, "weight_decay": 0.05, "ema": 0.9,
              "gradient_clip": 0.5},
    "plateau": {"lr_policy": "plateau", "lr_parameters": {"lr_plateau_patience": 1}, "val_interval": 0.25,
                "momentum": 0.5},
}  # fmt: skip


@pytest.fixture
def uninterrupted(built_dataset, make_model, run_training_task, optimizer):
    """A model whose training ran without interruption."""
    model = run_training_task(make_model(built_dataset, **EPOCHS, **optimizer))
    assert model.status == Status.DONE
    return model


@pytest.fixture
def on_event(monkeypatch):
    """A function that has `act(pid)` called when the next trainer, of this pid, reports such an event."""

    def on_event(name, act, **fields):
        listen = trainer_process._listen

        def watched(process, *others):
            monkeypatch.setattr(trainer_process, "_listen", listen)
            for event in listen(process, *others):
                yield event
                if event and {"event": name, **fields}.items() <= event.items():
                    act(process.pid)

        monkeypatch.setattr(trainer_process, "_listen", watched)

    return on_event


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def weights_of(model):
    return read_snapshot(model.newest_snapshot.directory)[0]


def assert_same_bits(model, other):
    one, two = weights_of(model), weights_of(other)
    assert all(np.array_equal(one[name], two[name]) for name in one)


def curve(model):
    return list(model.metrics.order_by("split", "iteration").values_list("split", "iteration", "loss"))


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_training_whose_trainer_was_killed_resumes_to_the_same_bits(
    uninterrupted, built_dataset, make_model, run_training_task, on_event, optimizer
):
    on_event("snapshot", kill, epoch=1)
    model = run_training_task(make_model(built_dataset, **EPOCHS, **optimizer))
    assert (model.status, model.lost_processes) == (Status.WAITING, 1)
    assert "killed by SIGKILL" in model.status_history[-1][2]
    assert re.search(r"it had taken \d+\.\d GiB, and there are \d+\.\d GiB \(", model.status_history[-1][2])
    assert "Take a smaller batch_size" in model.status_history[-1][2]
    first, share = Snapshot.objects.get(trained_model=model, epoch=0.5).created_at, model.newest_snapshot.epoch / 4
    assert model.resumed_from == 0
    assert run_training_task(model).status == Status.DONE
    assert model.resumed_from == share >= 0.25
    assert_same_bits(model, uninterrupted)
    assert Snapshot.objects.get(trained_model=model, epoch=0.5).created_at == first  # not trained again
    assert curve(model) == curve(uninterrupted)


def test_snapshots_that_were_not_reported_before_the_loss_are_written_again(
    built_dataset, make_model, run_training_task, on_event
):
    on_event("snapshot", kill, epoch=1)
    model = run_training_task(make_model(built_dataset, **EPOCHS))
    for name in ("epoch-9", ".partial-epoch-1.5"):
        (model.directory / "snapshots" / name).mkdir(exist_ok=True)
    assert run_training_task(model).status == Status.DONE
    folders = {path.name for path in (model.directory / "snapshots").iterdir()}
    assert folders == {f"epoch-{n / 2:g}" for n in range(1, 9)}


def test_a_resumed_training_skips_a_damaged_snapshot(built_dataset, make_model, run_training_task, on_event, caplog):
    on_event("snapshot", kill, epoch=1)
    model = run_training_task(make_model(built_dataset, **EPOCHS))
    newest, before = model.snapshots.order_by("-iteration")[:2]
    with (newest.directory / "model.onnx").open("r+b") as file:
        file.seek(100)
        file.write(b"damage")
    assert run_training_task(model).status == Status.DONE
    assert f"continues from epoch {before.epoch:g}" in caplog.text


def test_three_lost_processes_without_a_snapshot_are_an_error_and_a_snapshot_resets_the_count(
    built_dataset, make_model, run_training_task, on_event
):
    model = make_model(built_dataset, **EPOCHS | {"train_epochs": 80, "snapshot_interval": 40})
    type(model).objects.update(lost_processes=2)
    on_event("snapshot", kill, epoch=40)
    assert (run_training_task(model).status, model.lost_processes) == (Status.WAITING, 1)
    type(model).objects.update(lost_processes=2)
    half = model.directory / "snapshots" / ".partial-epoch-2"
    on_event("started", lambda pid: (half.mkdir(), kill(pid)))
    assert run_training_task(model).status == Status.ERROR
    assert not half.exists()
    assert "The job has lost 3 processes without a new snapshot" in model.error


def test_an_aborted_training_resumes_from_its_newest_snapshot(
    built_dataset, make_model, run_training_task, on_event, caplog
):
    model = make_model(built_dataset, **EPOCHS)
    on_event("snapshot", lambda pid: type(model).objects.update(abort_requested_at=timezone.now()), epoch=1)
    assert run_training_task(model).status == Status.ABORTED
    resume(model)
    assert (model.status, model.abort_requested_at) == (Status.WAITING, None)
    assert run_training_task(model).status == Status.DONE
    assert "continues from epoch" in caplog.text
