"""The training task of a worker: it runs the real trainer for a model and stores what the trainer reports."""

import itertools
import json
import os
import signal
import threading
from contextlib import ExitStack

import numpy as np
import pytest
from django.utils import timezone

from digits_project.jobs.events import event_log
from digits_project.jobs.models import Device, Status
from inference.engine.predictor import Predictor
from models_app import trainer_process
from models_app.api.model_responses import model_json
from models_app.models import TrainedModel
from models_app.tasks import train_model
from models_app.training_task import train_config
from tests.support.stopwatch import Stopwatch

pytestmark = pytest.mark.django_db


@pytest.fixture
def train(built_dataset, make_model, run_training_task):
    """A function that creates a model of these fields and trains it to its end."""

    def train(**fields):
        return run_training_task(make_model(built_dataset, **fields))

    return train


@pytest.fixture
def during_training(monkeypatch):
    """A function that has `act(model, pid)` called once, after the first progress event of the trainer of this pid."""

    def during(act):
        listen = trainer_process._listen

        def watched(process, *others):
            events = listen(process, *others)
            for event in events:
                yield event
                if event and event["event"] == "progress":
                    act(TrainedModel.objects.get(), process.pid)
                    break
            yield from events

        monkeypatch.setattr(trainer_process, "_listen", watched)

    return during


def test_a_training_uses_its_leased_devices_up_to_the_number_of_images_of_a_batch(built_dataset, make_model):
    gpus = [Device(type=Device.Type.GPU, index=index) for index in range(3)]
    taken = [train_config(make_model(built_dataset, batch_size=size), gpus).devices for size in (8, 2)]
    assert taken == [("gpu0", "gpu1", "gpu2"), ("gpu0", "gpu1")]


def test_a_training_leaves_snapshots_metrics_and_a_usable_model(train, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        model = train(train_epochs=2, snapshot_interval=0.5)
    assert (model.status, model.progress, model.error) == (Status.DONE, 1, "")
    assert [s.epoch for s in model.snapshots.order_by("epoch")] == [0.5, 1, 1.5, 2]
    assert list(model.metrics.filter(split="val").values_list("epoch", flat=True)) == [1, 2]
    assert model.metrics.filter(split="train").count() >= 2
    assert all(snapshot.max_difference < 1e-4 for snapshot in model.snapshots.all())
    assert model.best_snapshot.accuracy is not None
    scores = Predictor(model.newest_snapshot.onnx_file).scores(np.zeros((2, 28, 28, 1), np.uint8))
    assert scores.shape == (2, 10)
    events = event_log.following(event_log.START, seconds=1)
    assert [event.data["status"] for event in events if event.type == "status" and event.job == model.pk][-1] == "Done"
    measured = [event.data["loss"] for event in events if event.type == "metrics"]
    assert sorted(measured) == sorted(model.metrics.values_list("loss", flat=True))


@pytest.mark.parametrize(
    "policy",
    [
        {"learning_rate": 1e20, "lr_policy": "fixed"},
        {"learning_rate": 1e30, "lr_policy": "fixed"},
        {"lr_policy": "exp", "lr_parameters": {"lr_exp_gamma": 2.3}, "snapshot_interval": 0},
    ],
)
def test_a_diverging_training_ends_with_advice_on_the_learning_rate(train, policy):
    model = train(train_epochs=5, **policy)
    assert model.status == Status.ERROR
    assert "learning rate" in model.error
    assert not model.snapshots.exists()


def test_an_abort_ends_the_trainer_within_two_seconds(train, during_training):
    pids, stack, watch = [], ExitStack(), Stopwatch()

    def abort(model, pid):
        pids.append(pid)
        stack.enter_context(watch)
        TrainedModel.objects.update(abort_requested_at=timezone.now())

    during_training(abort)
    with stack:
        model = train(train_epochs=10_000, snapshot_interval=0)
    assert model.status == Status.ABORTED
    assert watch.seconds < 2
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_trainer_that_does_not_stop_by_itself_is_killed(train, during_training):
    def freeze_and_abort(model, pid):
        os.kill(pid, signal.SIGSTOP)
        TrainedModel.objects.update(abort_requested_at=timezone.now())

    during_training(freeze_and_abort)
    assert train(train_epochs=10_000, snapshot_interval=0).status == Status.ABORTED


def test_a_trainer_that_is_silent_for_too_long_counts_as_lost(train, during_training, monkeypatch):
    monkeypatch.setattr(trainer_process, "SILENCE_SECONDS", 1.0)
    during_training(lambda model, pid: os.kill(pid, signal.SIGSTOP))
    model = train(train_epochs=10_000, snapshot_interval=0)
    assert (model.status, model.lost_processes) == (Status.WAITING, 1)
    assert "sent nothing for 1 s" in model.status_history[-1][2]


def test_a_training_without_a_device_on_this_host_goes_back_to_waiting(built_dataset, make_model, cpu):
    model = make_model(built_dataset)
    train_model(model.pk)
    model.refresh_from_db()
    assert model.status == Status.WAITING


def test_the_trainer_gets_the_settings_of_the_row(train):
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


def test_lines_from_a_pipe_are_complete_wherever_the_chunks_end():
    read, write = os.pipe()
    chunks = [b'{"a"', b": 1}\n{", b'"b": 2}\n', b"the end"]
    writer = threading.Thread(target=lambda: [os.write(write, c) for c in chunks] and os.close(write))
    writer.start()
    with os.fdopen(read, "rb") as pipe:
        lines = list(itertools.filterfalse(lambda line: line is None, trainer_process._lines(pipe)))
    writer.join()
    assert lines == [b'{"a": 1}', b'{"b": 2}', b"the end"]


def test_a_training_without_improvement_is_done_early_and_reports_the_epoch(train):
    model = train(train_epochs=50, learning_rate=1e-12, lr_policy="fixed", early_stop_patience=1, keep_snapshots=0)
    assert (model.status, model.stopped_epoch, model.progress) == (Status.DONE, 2, 1)
    assert [s.epoch for s in model.snapshots.order_by("epoch")] == [1, 2]
    assert model_json(model)["stopped_epoch"] == 2
