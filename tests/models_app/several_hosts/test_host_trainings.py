"""Two train workers with different host names train one model together, each with one rank of PyTorch on the CPU."""

import json
import random
import subprocess
import time
from dataclasses import replace

import psutil
import pytest

from digits_project.jobs import services
from digits_project.jobs.models import Device, Status
from digits_project.jobs.scheduling import queues
from digits_project.jobs.scheduling.dispatch import dispatch
from models_app.models import TrainedModel
from models_app.training.config import TrainConfig
from tests.support.console import start_command
from tests.support.engines.rank_trainings import RankTraining
from tests.support.samples.training_samples import snapshot_weights
from tests.support.server import await_exit, wait_until
from tests.support.stopwatch import Stopwatch

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.torch,
    pytest.mark.trainer,
    pytest.mark.slow(30),
    pytest.mark.timeout(300),
]
SECONDS = 120
HOSTS = ("first", "second")
TRAINING = {"engine": "torch", "select_gpu_count": 2, "train_epochs": 40, "snapshot_interval": 4}


@pytest.fixture
def start_workers(settings, tmp_path):
    """A function that starts the train workers of hosts whose CPU counts as so many devices: {host: process}."""
    started = {}

    def start_workers(hosts, cpus):
        settings.DIGITS_CPU_RANKS = cpus
        for host in hosts:
            variables = {"DIGITS_HOST_NAME": host, "DIGITS_HOST_ADDRESS": "127.0.0.1", "DIGITS_CPU_RANKS": str(cpus)}
            streams = {"stdout": (tmp_path / f"{host}.log").open("w"), "stderr": subprocess.STDOUT}
            with streams["stdout"]:
                started[host] = start_command("worker", "train", variables=variables, **streams)
        wait_until(lambda: {f"train-{host}" for host in hosts} <= set(queues.live_workers()), SECONDS)
        return started

    yield start_workers
    for worker in started.values():
        kill_host(worker)


@pytest.fixture
def workers(start_workers):
    """Two hosts with a CPU each."""
    return start_workers(HOSTS, cpus=1)


@pytest.fixture
def start_training(built_dataset, make_model):
    """A function that creates a model for the workers, and returns it once it has a snapshot."""

    def start_training():
        created = make_model(built_dataset, **TRAINING)
        dispatch()
        await_snapshots(created, 1)
        return created

    return start_training


@pytest.fixture
def model(workers, start_training):
    """A model that both hosts train."""
    return start_training()


def await_snapshots(model, count):
    """Wait until the model has so many snapshots or has ended, and dispatch meanwhile as the reaper would."""

    def has_them():
        dispatch()
        return model.snapshots.count() >= count or reload(model).has_ended

    wait_until(has_them, SECONDS)
    assert model.snapshots.count() >= count, (model.error, model.status_history)


def reload(model):
    model.refresh_from_db()
    return model


def await_end(model):
    """Wait for the end of the model, and dispatch meanwhile as the reaper would."""

    def has_ended():
        dispatch()
        return reload(model).has_ended

    wait_until(has_ended, SECONDS)
    return model


def ranks(worker):
    """The processes of a worker's ranks."""
    below = psutil.Process(worker.pid).children(recursive=True)
    return [process for process in below if "RANK" in environment(process)]


def environment(process):
    try:
        return process.environ()
    except psutil.NoSuchProcess:
        return {}


def kill_host(worker):
    """Kill a worker and all its processes at once."""
    try:
        processes = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        processes = []
    for process in processes:
        process.kill()
    worker.wait()
    await_exit(processes)


def processes_of(worker):
    """The worker's processes of a training: its work-horse, the trainer and the ranks."""
    return psutil.Process(worker.pid).children(recursive=True)


def attempts(model):
    """How many times it was Running."""
    return [status for status, *_ in model.status_history].count(Status.RUNNING)


def epochs(model):
    return [snapshot.epoch for snapshot in model.snapshots.order_by("epoch")]


def test_a_model_of_two_hosts_continues_after_a_process_of_one_was_killed_and_aborts_on_both(model, workers):
    assert sorted(map(str, Device.objects.filter(leased_to=model.pk))) == ["cpu of first", "cpu of second"]
    killed, *_ = processes_of(workers["second"])  # the work-horse, and its ranks with it
    killed.kill()
    wait_until(lambda: dispatch() or attempts(reload(model)) == 2, SECONDS)
    await_snapshots(model, model.snapshots.count() + 1)
    [lost] = [change for change in model.status_history if len(change) == 3]
    assert lost[0] == "Waiting"
    assert "Another rank of the training has ended" in lost[2], (model.directory / "train.log").read_text()[-3000:]
    processes = [rank for worker in workers.values() for rank in ranks(worker)]
    assert len(processes) == 2
    with Stopwatch() as watch:
        services.abort(TrainedModel.objects.get(pk=model.pk))
        await_exit(processes)
    assert watch.seconds < 2
    wait_until(lambda: reload(model).has_ended, SECONDS)
    assert model.status == Status.ABORTED


def test_a_model_continues_on_the_other_host_after_one_is_gone(model, workers):
    [remaining] = set(HOSTS) - {"second"}
    kill_host(workers["second"])
    await_end(model)
    assert (model.status, model.error) == (Status.DONE, "")
    assert epochs(model) == list(range(4, 41, 4))
    config = json.loads((model.directory / "config.json").read_text())
    assert (config["devices"], config["rendezvous"]) == (["cpu"], None)
    assert ranks(workers[remaining]) == []


def test_random_kills_lose_nothing_and_leave_nothing(start_workers, start_training, tmp_path):
    """The training ends with the bits of an undisturbed one, of two ranks as well."""
    worker, rng = start_workers(HOSTS[:1], cpus=2)["first"], random.Random(1)
    model = start_training()
    config = TrainConfig.from_file(model.directory / "config.json")
    undisturbed = RankTraining(replace(config, directory=str(tmp_path)))
    for _ in range(2):
        time.sleep(rng.uniform(0, 1))
        rng.choice(processes_of(worker)).kill()
        await_snapshots(model, model.snapshots.count() + 1)
    await_end(model)
    assert (model.status, model.error, epochs(model)) == (Status.DONE, "", list(range(4, 41, 4)))
    assert undisturbed.wait() == 0
    one, other = (snapshot_weights(folder / "snapshots/epoch-40") for folder in (model.directory, tmp_path))
    assert [name for name in one if (one[name] != other[name]).any()] == []
    wait_until(lambda: not processes_of(worker))
    assert not list(model.directory.rglob(".partial*"))
