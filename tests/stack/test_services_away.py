"""PostgreSQL or Redis is away for a while: the server says so, and nothing that runs dies of it."""

import os
import signal
import time

import psutil
import pytest

from digits_project.stack.embedded import Services
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.server import RunningServer, wait_until
from tests.support.services import temporary_home

pytestmark = [pytest.mark.trainer, pytest.mark.slow(12)]
AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "7"))  # longer than the workers' heartbeats; 30 shows no more
MODELS = "/models/images/classification.json"


@pytest.fixture(scope="module")
def services():
    """PostgreSQL and Redis that the server can't start again by itself."""
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
    """The id of a model that has been training for a while and would for long."""
    job_id = create(server, dataset, train_epochs=50_000)
    wait_until(lambda: server.json(f"/models/{job_id}.json").get("val_outputs"))
    yield job_id
    server.send("DELETE", f"/models/{job_id}")


def create(server, dataset, **fields):
    fields |= {"model_name": "lenet", "dataset": dataset, "standard_networks": "lenet", "snapshot_interval": 0}
    return server.create_job(MODELS, **fields)


def trainer(server):
    """The pid of the one process that trains."""
    parts = psutil.Process(server.process.pid).children(recursive=True)
    (found,) = [part.pid for part in parts if "models_app.training" in part.cmdline()]
    return found


def validated(server, job_id):
    return server.json(f"/models/{job_id}.json")["val_outputs"]["epoch"]


def assert_it_went_on(server, job_id, process, before):
    """The same process trains on, and every epoch's validation is there."""
    wait_until(lambda: len(validated(server, job_id)) > before, 60)
    assert (server.job_status(job_id), trainer(server)) == ("Running", process)
    epochs = validated(server, job_id)
    assert epochs == list(range(1, len(epochs) + 1))


def test_redis_is_away_and_what_runs_goes_on_and_what_is_asked_meanwhile_is_done_later(
    services, server, dataset, training
):
    process, redis = trainer(server), services.services[1]
    redis.stop()
    stopped = time.monotonic()
    waiting = create(server, dataset, train_epochs=1)
    assert server.get("/index.json") == 200
    assert server.get("/readyz") == 503
    time.sleep(max(0.0, stopped + AWAY_SECONDS - time.monotonic()))
    before = len(validated(server, training))
    redis.start()
    assert_it_went_on(server, training, process, before)
    server.send("POST", f"/models/{training}/abort")
    wait_until(lambda: server.job_status(waiting) == "Done", 20 + 30)


def test_postgresql_is_away_and_what_runs_goes_on_and_loses_no_metric(services, server, training):
    process, postgres, before = trainer(server), services.services[0], len(validated(server, training))
    postgres.stop()
    stopped = time.monotonic()
    while time.monotonic() < stopped + AWAY_SECONDS:
        asked = time.monotonic()
        assert server.get("/index.json") == 503
        assert time.monotonic() - asked < 5
        time.sleep(0.2)
    postgres.start()
    wait_until(lambda: server.get("/index.json") == 200)
    assert_it_went_on(server, training, process, before)


def test_a_postgresql_that_hangs_holds_no_request_for_ever(services, server, training):
    process, before = trainer(server), len(validated(server, training))
    postgres = psutil.Process(services.services[0].process.pid)
    hanging = [postgres, *postgres.children(recursive=True)]
    for part in hanging:
        part.send_signal(signal.SIGSTOP)
    try:
        answer = server.get("/index.json")
    finally:
        for part in hanging:
            part.send_signal(signal.SIGCONT)
    assert answer == 503
    wait_until(lambda: server.get("/index.json") == 200)
    assert_it_went_on(server, training, process, before)
