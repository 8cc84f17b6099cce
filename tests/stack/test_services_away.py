"""Outages of PostgreSQL and Redis: the server reports them, and running jobs survive."""

import os
import signal
import time

import psutil
import pytest

from digits_project.stack.embedded import Services
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.server import RunningServer, wait_until
from tests.support.services import temporary_home
from tests.support.stopwatch import Stopwatch

pytestmark = [pytest.mark.trainer, pytest.mark.slow(12)]
OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "7"))  # longer than a heartbeat; 30 finds no more
MODELS = "/models/images/classification.json"


@pytest.fixture(scope="module")
def services():
    """PostgreSQL and Redis that the server does not supervise."""
    with temporary_home() as home, Services(home, durable=False) as services:
        yield services


@pytest.fixture(scope="module")
def server(services):
    urls = {"DATABASE_URL": services.database_url, "REDIS_URL": services.redis_url}
    with temporary_home() as home, RunningServer(home, 0, **urls) as running:
        yield running


@pytest.fixture(scope="module")
def dataset(server):
    images = write_28_pixel_digits(server.home / "images", each=60)
    size = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}
    fields = {"dataset_name": "digits", "folder_train": str(images)} | size
    job_id = server.create_job("/datasets/images/classification.json", **fields)
    wait_until(lambda: server.job_status(job_id) == "Done", 60)
    return job_id


@pytest.fixture
def training(server, dataset):
    """The id of a model in a long training, past its first epoch; deleted after the test.

    The tests beside this one go before its trainer: during an outage it takes only the processor time that they leave.
    """
    job_id = create_model(server, dataset, train_epochs=50_000)
    wait_until(lambda: server.json(f"/models/{job_id}.json").get("val_outputs"))
    psutil.Process(trainer(server)).nice(10)
    yield job_id
    server.send("DELETE", f"/models/{job_id}")


def create_model(server, dataset, **fields):
    fields |= {"model_name": "lenet", "dataset": dataset, "standard_networks": "lenet", "snapshot_interval": 0}
    return server.create_job(MODELS, **fields)


def trainer(server):
    """The pid of the only trainer."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    (pid,) = [child.pid for child in children if "models_app.training" in child.cmdline()]
    return pid


def validated(server, job_id):
    return server.json(f"/models/{job_id}.json")["val_outputs"]["epoch"]


def assert_training_continues(server, job_id, process, before):
    """Assert that the same process continues to train, and that no epoch's validation is missing."""
    wait_until(lambda: len(validated(server, job_id)) > before, 60)
    assert (server.job_status(job_id), trainer(server)) == ("Running", process)
    epochs = validated(server, job_id)
    assert epochs == list(range(1, len(epochs) + 1))


def test_a_redis_outage_keeps_running_jobs_and_delays_new_ones(services, server, dataset, training):
    process, redis = trainer(server), services.services[1]
    redis.stop()
    stopped = time.monotonic()
    waiting = create_model(server, dataset, train_epochs=1)
    assert server.get("/index.json") == 200
    assert server.get("/readyz") == 503
    time.sleep(max(0.0, stopped + OUTAGE_SECONDS - time.monotonic()))
    before = len(validated(server, training))
    redis.begin()
    redis.await_ready()
    assert_training_continues(server, training, process, before)
    server.send("POST", f"/models/{training}/abort")
    wait_until(lambda: server.job_status(waiting) == "Done", 20 + 30)


def test_a_postgresql_outage_keeps_running_jobs_and_loses_no_metric(services, server, training):
    process, postgres, before = trainer(server), services.services[0], len(validated(server, training))
    postgres.stop()
    stopped = time.monotonic()
    while time.monotonic() < stopped + OUTAGE_SECONDS:
        with Stopwatch() as watch:
            assert server.get("/index.json") == 503
        assert watch.seconds < 5
        time.sleep(0.2)
    postgres.begin()
    postgres.await_ready()
    wait_until(lambda: server.get("/index.json") == 200)
    assert_training_continues(server, training, process, before)


def test_a_hanging_postgresql_blocks_no_request_forever(services, server, training):
    process, before = trainer(server), len(validated(server, training))
    postgres = psutil.Process(services.services[0].process.pid)
    processes = [postgres, *postgres.children(recursive=True)]
    for hanging in processes:
        hanging.send_signal(signal.SIGSTOP)
    try:
        status = server.get("/index.json")
    finally:
        for hanging in processes:
            hanging.send_signal(signal.SIGCONT)
    assert status == 503
    wait_until(lambda: server.get("/index.json") == 200)
    assert_training_continues(server, training, process, before)
