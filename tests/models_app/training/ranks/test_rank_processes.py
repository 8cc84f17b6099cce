"""Two ranks of PyTorch, by torchrun: they train as one process does, and end together."""

import signal
import socket
from dataclasses import replace

import numpy as np
import pytest

from models_app.networks import standard
from models_app.training.early_stopping import STOP_FILE
from models_app.training.ranks.rendezvous import Rendezvous
from tests.support.engines.rank_trainings import RankTraining, normalized_network, rank_config
from tests.support.samples.training_samples import (
    TRAIN_IMAGES,
    VAL_IMAGES,
    events_of_kind,
    snapshot_weights,
    write_records,
)
from tests.support.server import await_exit
from tests.support.stopwatch import Stopwatch

pytestmark = [pytest.mark.torch, pytest.mark.trainer, pytest.mark.slow(20)]

# Every batch has five images: one rank computes three of them, the other two. ADAM divides by the size of gradients; so
# the network has no bias before a BatchNorm, whose gradient is nothing but rounding (decision 100).
FIELDS = {"epochs": 2, "batch_size": 5, "batch_accumulation": 3, "mixup": 0.3, "early_stop_patience": 5}
FIELDS |= {"solver_type": "ADAM", "gradient_clip": 0.5, "ema": 0.9, "weight_decay": 0.001, "learning_rate": 0.01}
FIELDS["network"] = normalized_network(bias_term=False).to_dict()
LOST = 4  # the exit status


@pytest.fixture(scope="module")
def trainings(dataset, tmp_path_factory):
    """{number of ranks: a training that has ended}."""
    folder = tmp_path_factory.mktemp("trained")
    started = {n: RankTraining(rank_config(dataset, folder / str(n), n, **FIELDS)) for n in (1, 2)}
    assert {n: training.wait() for n, training in started.items()} == {1: 0, 2: 0}, started[2].log.read_text()
    return started


@pytest.fixture(scope="module")
def resumed(dataset, tmp_path_factory, trainings):
    """{number of ranks: a training that continued from the first snapshot of the one with two ranks}."""
    folder, snapshot = tmp_path_factory.mktemp("resumed"), str(trainings[2].directory / "snapshots/epoch-1")
    started = {
        n: RankTraining(rank_config(dataset, folder / str(n), n, resume_from=snapshot, **FIELDS)) for n in (1, 2)
    }
    assert {n: training.wait() for n, training in started.items()} == {1: 0, 2: 0}, started[2].log.read_text()
    return started


def final_weights(training):
    return snapshot_weights(training.directory / "snapshots/epoch-2")


def largest_difference(one, other):
    first, second = final_weights(one), final_weights(other)
    return max(np.abs(first[name] - second[name]).max() for name in first)


def val_losses(training):
    return [event["loss"] for event in events_of_kind(training.events(), "metrics", split="val")]


def test_two_ranks_train_with_adam_clipped_gradients_and_averaged_weights_to_the_weights_of_one(trainings):
    assert largest_difference(trainings[1], trainings[2]) < 1e-5


@pytest.mark.parametrize("split", ["train", "val"])
def test_two_ranks_measure_the_scores_of_one(trainings, split):
    one, two = (events_of_kind(trainings[n].events(), "metrics", split=split) for n in (1, 2))
    assert [event["iteration"] for event in one] == [event["iteration"] for event in two]
    for name in ("loss", "accuracy"):
        assert [event[name] for event in two] == pytest.approx([event[name] for event in one], abs=1e-5)


def test_only_the_first_rank_emits_events_and_writes_snapshots(trainings):
    events = trainings[2].events()
    assert events_of_kind(events, "started", train_images=TRAIN_IMAGES, val_images=VAL_IMAGES, random_seed=1)
    kinds = [event["event"] for event in events]
    assert (kinds.count("started"), kinds.count("snapshot"), kinds.count("done")) == (1, 2, 1)


def test_a_training_that_resumes_with_as_many_ranks_ends_with_the_same_bits(trainings, resumed):
    assert largest_difference(trainings[2], resumed[2]) == 0


def test_a_training_of_two_ranks_resumes_with_one(trainings, resumed):
    assert largest_difference(trainings[2], resumed[1]) < 1e-5
    assert val_losses(resumed[1]) == pytest.approx(val_losses(trainings[2])[1:], abs=1e-5)


@pytest.fixture
def endless(dataset, tmp_path):
    """A training of two ranks that has written a snapshot and would take hours."""
    fields = FIELDS | {"epochs": 1e5, "snapshot_interval": 2.0, "early_stop_patience": 0, "mixup": 0.0}
    training = RankTraining(rank_config(dataset, tmp_path, 2, **fields))
    training.await_event("snapshot")
    yield training
    training.kill()


def test_a_killed_rank_ends_the_others_and_is_reported(endless):
    first, second = endless.ranks()
    second.kill()
    assert endless.wait() == LOST
    await_exit([first, second])
    [error] = events_of_kind(endless.events(), "error")
    assert error["blame"] == "rank"
    assert "Rank 1 of the training was killed by SIGKILL" in error["message"] or "has ended" in error["message"]


def test_a_stopped_training_ends_all_ranks_within_two_seconds_and_leaves_whole_snapshots(endless):
    ranks = endless.ranks()
    endless.process.send_signal(signal.SIGTERM)
    with Stopwatch() as watch:
        assert endless.wait() == 3
        await_exit(ranks)
    assert watch.seconds < 2
    assert not events_of_kind(endless.events(), "error")
    whole = {"model.onnx", "optimizer.npz", "snapshot.json"}
    written = list((endless.directory / "snapshots").iterdir())
    assert written
    assert all({file.name for file in snapshot.iterdir()} == whole for snapshot in written)


def test_ranks_that_are_asked_to_stop_end_after_the_same_step_with_a_snapshot(dataset, tmp_path):
    training = RankTraining(rank_config(dataset, tmp_path, 2, **FIELDS | {"epochs": 1e5, "snapshot_interval": 0.0}))
    (training.directory / STOP_FILE).touch()
    assert training.wait() == 0, training.log.read_text()
    events = training.events()
    [stopped] = events_of_kind(events, "stopped_early")
    assert events_of_kind(events, "snapshot")[-1]["iteration"] == stopped["iteration"]
    assert events[-1]["event"] == "done"


def test_the_ranks_die_with_the_process_that_started_them(endless):
    ranks = endless.ranks()
    endless.kill()
    await_exit(ranks)


def test_two_ranks_train_a_network_of_timm_to_the_weights_of_one(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    for split, count in (("train", 12), ("val", 6)):
        write_records(tmp_path / f"{split}.rec", images[:count], [number % 3 for number in range(count)])
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    np.save(tmp_path / "mean.npy", np.zeros((3, 32, 32), np.float32))
    fields = {"network": standard("timm/resnet10t", (3, 32, 32), 3).to_dict(), "learning_rate": 0.001}
    trainings = [
        RankTraining(rank_config(tmp_path, tmp_path / str(n), n, epochs=1, batch_size=5, **fields)) for n in (1, 2)
    ]
    assert [training.wait() for training in trainings] == [0, 0], trainings[1].log.read_text()
    one, two = (snapshot_weights(training.directory / "snapshots/epoch-1") for training in trainings)
    for name, array in one.items():
        np.testing.assert_allclose(two[name], array, rtol=1e-5, atol=1e-5, err_msg=name)


def two_hosts(**fields):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return [Rendezvous(hosts=2, host=host, port=port, identity="secret", **fields) for host in (0, 1)]


def test_ranks_that_do_not_come_are_reported_after_the_timeout(dataset, tmp_path):
    [first, _] = two_hosts(timeout=1.0)
    training = RankTraining(rank_config(dataset, tmp_path, 1, first))
    assert training.wait() == LOST
    [error] = training.events()
    assert error["blame"] == "rank"
    assert "The ranks of the other hosts did not come to 127.0.0.1, port" in error["message"]
    assert "within 1 s (DIGITS_RANK_TIMEOUT)" in error["message"]


def test_the_first_host_reports_the_error_of_a_rank_of_another_host(dataset, tmp_path):
    meetings = two_hosts(timeout=60.0)
    first, second = (rank_config(dataset, tmp_path, 1, meeting) for meeting in meetings)
    broken = replace(second, val_records=str(tmp_path / "missing.rec"))
    trainings = [RankTraining(config, f"host-{host}") for host, config in enumerate((first, broken))]
    assert [training.wait() for training in trainings] == [2, 2], trainings[0].log.read_text()
    assert [event["blame"] for event in trainings[0].events() if event["event"] == "error"] == ["user"]
    assert "missing.rec" in trainings[0].events()[-1]["message"]
