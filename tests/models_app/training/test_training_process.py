"""The trainer as a process: its events, its exit status, and the end of the process."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.samples.training_samples import (
    TRAIN_IMAGES,
    VAL_IMAGES,
    config_of,
    events_of_kind,
    run_trainer,
    start_trainer,
)
from tests.support.stopwatch import Stopwatch

pytestmark = pytest.mark.usefixtures("engine_name")

LAST = "snapshots/epoch-2"


@pytest.fixture(scope="module")
def config(engine_name, dataset, tmp_path_factory):
    """A training of two epochs on two threads."""
    return config_of(dataset, tmp_path_factory.mktemp("once"), lr_policy="poly", threads=2)


@pytest.fixture(scope="module")
def finished(config):
    """Exit status, events and log of a training that ran to its end."""
    return run_trainer(config)


def test_a_training_reports_its_course_in_events(engine_name, finished):
    status, events, log = finished
    assert status == 0, log
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-2:]) == ("started", ["progress", "done"])
    expected = {"device": "cpu", "threads": 2, "parameters": 650, "random_seed": 1}
    assert events_of_kind(events[:1], "started", train_images=TRAIN_IMAGES, val_images=VAL_IMAGES, **expected)
    assert events[0]["engine"].startswith(f"{engine_name} ")
    assert events_of_kind(events[-2:], "progress", fraction=1.0, epoch=2.0)
    assert events[-1]["best_epoch"] in (1, 2)
    assert [event["directory"] for event in events_of_kind(events, "snapshot")] == ["snapshots/epoch-1", LAST]
    written = {"onnx": "model.onnx", "optimizer": "optimizer.npz"}
    assert [event["files"] for event in events_of_kind(events, "snapshot")] == [written] * 2


def test_missing_records_end_the_trainer_with_an_error_of_the_user(config, tmp_path):
    status, events, _ = run_trainer(replace(config, train_records=str(tmp_path / "no.rec"), directory=str(tmp_path)))
    assert status == 2
    [error] = events
    assert (error["event"], error["blame"]) == ("error", "user")
    assert "no.rec" in error["message"]


def test_a_diverging_training_ends_the_trainer_with_an_error_of_the_user(config, tmp_path):
    diverging = replace(config, learning_rate=1e30, directory=str(tmp_path))
    status, events, _ = run_trainer(diverging)
    assert status == 2
    assert events_of_kind(events[-1:], "error", blame="user")
    assert "the training has diverged. Try decreasing your learning rate (it is " in events[-1]["message"]
    assert list(tmp_path.glob("snapshots/*")) == []


def write_endless_config(config, directory):
    """The path of the configuration of a training that would take hours."""
    config = replace(config, epochs=1e5, lr_policy="fixed", directory=str(directory))
    (directory / "config.json").write_text(config.to_json(), encoding="utf-8")
    return directory / "config.json"


def test_a_trainer_stops_at_once_on_sigterm_and_leaves_whole_snapshots(config, tmp_path):
    process = start_trainer(write_endless_config(config, tmp_path))
    lines = [process.stdout.readline()]
    while '"snapshot"' not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1]
    process.send_signal(signal.SIGTERM)
    with Stopwatch() as watch:
        rest, log = process.communicate(timeout=30)
    assert process.returncode == 3, log
    assert watch.seconds < 2
    events = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    assert not events_of_kind(events, "error")
    assert not events_of_kind(events, "done")
    whole = {"model.onnx", "optimizer.npz", "snapshot.json"}
    snapshots = list((tmp_path / "snapshots").iterdir())
    assert snapshots
    assert all({file.name for file in snapshot.iterdir()} == whole for snapshot in snapshots)


def test_a_trainer_stops_once_the_reader_of_its_events_is_gone(config, tmp_path):
    process = start_trainer(write_endless_config(config, tmp_path))
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=30) == 3
    process.stderr.close()


PARENT = """
import subprocess, sys
trainer = subprocess.Popen([sys.executable, "-m", "models_app.training", sys.argv[1]], stdout=subprocess.PIPE)
trainer.stdout.readline()
print(trainer.pid, flush=True)
sys.stdin.read()
"""


def is_running(pid):
    """Whether the process runs. False for a zombie too, whose new parent has yet to read its exit status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_trainer_dies_with_its_parent(config, tmp_path):
    command = [sys.executable, "-c", PARENT, str(write_endless_config(config, tmp_path))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        trainer = int(parent.stdout.readline())
        assert is_running(trainer)
        parent.kill()
    deadline = time.monotonic() + 60
    while is_running(trainer) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(trainer)
