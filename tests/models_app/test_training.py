"""A training from row to rows: the real trainer, run as a worker's task runs it."""

import itertools
import json
import os
import signal
import threading
import time

import numpy as np
import pytest
from django.utils import timezone

from digits_project.jobs.models import Device, Status
from inference.engine.predictor import Predictor
from models_app import trainer_process
from models_app.api.model_responses import model_json
from models_app.models import TrainedModel
from models_app.tasks import train_model
from models_app.training_task import train_config

pytestmark = pytest.mark.django_db


@pytest.fixture
def train(built_dataset, make_model, cpu):
    """Train a model to its end; the row after it."""

    def train(**fields):
        model = make_model(built_dataset, **fields)
        Device.objects.update(leased_to=model.pk)
        train_model(model.pk)
        model.refresh_from_db()
        return model

    return train


@pytest.fixture
def during_training(monkeypatch):
    """Calls `act(model, pid of the trainer)` once, after the trainer's first progress."""

    def during(act):
        listen = trainer_process._listen

        def watched(process):
            events = listen(process)
            for event in events:
                yield event
                if event and event["event"] == "progress":
                    act(TrainedModel.objects.get(), process.pid)
                    break
            yield from events

        monkeypatch.setattr(trainer_process, "_listen", watched)

    return during


def test_a_training_takes_every_device_that_it_holds_but_no_more_than_a_batch_has_images(built_dataset, make_model):
    gpus = [Device(type=Device.Type.GPU, index=index) for index in range(3)]
    taken = [train_config(make_model(built_dataset, batch_size=size), gpus).devices for size in (8, 2)]
    assert taken == [("gpu0", "gpu1", "gpu2"), ("gpu0", "gpu1")]


def test_a_training_leaves_snapshots_metrics_and_a_model_that_answers(train):
    model = train(train_epochs=2, snapshot_interval=0.5)
    assert (model.status, model.progress, model.error) == (Status.DONE, 1, "")
    assert [s.epoch for s in model.snapshots.order_by("epoch")] == [0.5, 1, 1.5, 2]
    assert list(model.metrics.filter(split="val").values_list("epoch", flat=True)) == [1, 2]
    assert model.metrics.filter(split="train").count() >= 2
    assert all(snapshot.max_difference < 1e-4 for snapshot in model.snapshots.all())
    assert model.best_snapshot.accuracy is not None
    scores = Predictor(model.newest_snapshot.onnx_file).scores(np.zeros((2, 28, 28, 1), np.uint8))
    assert scores.shape == (2, 10)


@pytest.mark.parametrize(
    "policy",
    [
        {"learning_rate": 1e20, "lr_policy": "fixed"},
        {"learning_rate": 1e30, "lr_policy": "fixed"},
        {"lr_policy": "exp", "lr_parameters": {"lr_exp_gamma": 2.3}, "snapshot_interval": 0},
    ],
)
def test_a_training_that_diverges_is_the_users_to_mend(train, policy):
    model = train(train_epochs=5, **policy)
    assert model.status == Status.ERROR
    assert "learning rate" in model.error
    assert not model.snapshots.exists()


def test_an_abort_ends_the_trainer_within_two_seconds(train, during_training):
    asked = []

    def abort(model, pid):
        asked.append((time.monotonic(), pid))
        TrainedModel.objects.update(abort_requested_at=timezone.now())

    during_training(abort)
    model = train(train_epochs=10_000, snapshot_interval=0)
    (moment, pid), now = asked[0], time.monotonic()
    assert model.status == Status.ABORTED
    assert now - moment < 2
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_trainer_that_can_not_stop_by_itself_is_killed(train, during_training):
    def freeze_and_abort(model, pid):
        os.kill(pid, signal.SIGSTOP)
        TrainedModel.objects.update(abort_requested_at=timezone.now())

    during_training(freeze_and_abort)
    assert train(train_epochs=10_000, snapshot_interval=0).status == Status.ABORTED


def test_a_trainer_that_says_nothing_for_too_long_is_given_up(train, during_training, monkeypatch):
    monkeypatch.setattr(trainer_process, "SILENCE_SECONDS", 1.0)
    during_training(lambda model, pid: os.kill(pid, signal.SIGSTOP))
    model = train(train_epochs=10_000, snapshot_interval=0)
    assert (model.status, model.lost_processes) == (Status.WAITING, 1)
    assert "said nothing for 1 s" in model.status_history[-1][2]


def test_without_a_device_on_this_host_the_job_goes_back_to_waiting(built_dataset, make_model, cpu):
    model = make_model(built_dataset)
    train_model(model.pk)
    model.refresh_from_db()
    assert model.status == Status.WAITING


def test_the_trainer_gets_every_choice_of_the_row(train):
    policy = {"learning_rate": 0.02, "lr_policy": "exp", "lr_parameters": {"lr_exp_gamma": 0.9}}
    model = train(**policy, use_mean="pixel", batch_size=16, balance_classes=True)
    config = json.loads((model.directory / "config.json").read_text())
    chosen = {name: config[name] for name in ("learning_rate", "lr_policy", "lr_exp_gamma", "use_mean", "batch_size")}
    assert chosen == {
        "learning_rate": 0.02,
        "lr_policy": "exp",
        "lr_exp_gamma": 0.9,
        "use_mean": "pixel",
        "batch_size": 16,
    }
    assert config["random_seed"] == 1
    assert config["category_weights"] == [1.0] * 10


def test_lines_are_whole_however_the_pipe_cuts_them():
    read, write = os.pipe()
    chunks = [b'{"a"', b": 1}\n{", b'"b": 2}\n']
    writer = threading.Thread(target=lambda: [os.write(write, c) for c in chunks] and os.close(write))
    writer.start()
    with os.fdopen(read, "rb") as pipe:
        lines = list(itertools.filterfalse(lambda line: line is None, trainer_process._lines(pipe)))
    writer.join()
    assert lines == [b'{"a": 1}', b'{"b": 2}']


def test_a_training_that_learns_no_more_is_done_early_and_says_when(train):
    model = train(train_epochs=50, learning_rate=1e-12, lr_policy="fixed", early_stop_patience=1)
    assert (model.status, model.stopped_epoch, model.progress) == (Status.DONE, 2, 1)
    assert [s.epoch for s in model.snapshots.order_by("epoch")] == [1, 2]
    assert model_json(model)["stopped_epoch"] == 2
