"""The whole server, over HTTP, as its users meet it: what works, and what is left when something is killed."""

import json
import os
import time
from pathlib import Path

import psutil
import pytest
from redis import Redis
from rq import Queue
from rq.job import Job as QueuedJob
from rq.serializers import JSONSerializer

from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.server import RunningServer, wait_until
from tests.support.services import temporary_home

pytestmark = [pytest.mark.trainer, pytest.mark.slow(6)]
DATASETS = "/datasets/images/classification.json"
MODELS = "/models/images/classification.json"
CLASSIFY = "/models/images/classification/classify_one.json"
ENDED = ("Done", "Aborted", "Error")


@pytest.fixture(scope="module")
def server():
    with temporary_home() as home, RunningServer(home, 0) as running:
        yield running


@pytest.fixture(scope="module")
def images(server):
    return write_28_pixel_digits(server.home / "images", each=60)


@pytest.fixture(scope="module")
def dataset(server, images):
    """The id of a dataset that is Done."""
    size = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}
    job_id = server.create_job(DATASETS, dataset_name="digits", folder_train=str(images), **size)
    assert end_of(server, job_id) == "Done"
    return job_id


@pytest.fixture
def long_training(server, dataset):
    """The id of a model that has been training for a while and would for long; deleted afterwards."""
    job_id = server.create_job(MODELS, **lenet(dataset, train_epochs=50_000, snapshot_interval=0))
    wait_until(lambda: server.json(f"/models/{job_id}.json").get("val_outputs"))
    yield job_id
    server.send("DELETE", f"/models/{job_id}")


def lenet(dataset, **fields):
    return {"model_name": "lenet", "dataset": dataset, "standard_networks": "lenet", "random_seed": 1} | fields


def end_of(server, job_id):
    """The status in which the job ends."""
    return wait_until(lambda: (status := server.job_status(job_id)) in ENDED and status, seconds=60)


def trainers(server):
    """The trainer processes of that server."""
    running = [(process, process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [p for p, words in running if "models_app.training" in words and str(server.home) in words[-1]]


@pytest.fixture(scope="module")
def trained(server, dataset):
    """The id of a model that is Done."""
    job_id = server.create_job(MODELS, **lenet(dataset, train_epochs=12))
    assert end_of(server, job_id) == "Done"
    return job_id


def classify(server, model, image):
    """(status code, the best category)."""
    status, body = server.send("POST", CLASSIFY, job_id=model, image_path=str(image))
    return status, next(iter(json.loads(body).get("predictions", [None])))


def test_from_a_folder_to_a_classified_image(server, trained, images):
    told = server.json(f"/models/{trained}.json")
    assert told["snapshots"] == list(range(1, 13))
    assert told["val_outputs"]["epoch"] == list(range(1, 13))
    assert told["val_outputs"]["accuracy"][-1] > 0.9
    assert classify(server, trained, images / "7" / "0.png") == (200, "7")


def test_an_abort_ends_a_training_within_two_seconds_and_leaves_no_process(server, long_training):
    asked = time.monotonic()
    assert server.send("POST", f"/models/{long_training}/abort") == (200, b"Job aborted.")
    wait_until(lambda: server.job_status(long_training) == "Aborted" and not trainers(server), seconds=10)
    assert time.monotonic() - asked < 2


def test_a_running_job_is_deleted_with_its_folder_and_process(server, long_training):
    folder = Path(server.json(f"/models/{long_training}.json")["directory"])
    assert folder.is_dir()
    assert server.send("DELETE", f"/models/{long_training}") == (200, b"Job deleted.")
    assert not folder.exists()
    assert trainers(server) == []
    assert server.get(f"/models/{long_training}.json") == 404


def test_images_are_classified_while_a_network_trains(server, trained, images, long_training):
    assert classify(server, trained, images / "4" / "0.png") == (200, "4")
    assert server.job_status(long_training) == "Running"


def test_a_second_training_waits_for_the_device_and_then_runs(server, dataset, long_training):
    second = server.create_job(MODELS, **lenet(dataset, train_epochs=1))
    assert server.job_status(second) == "Waiting"
    server.send("POST", f"/models/{long_training}/abort")
    assert end_of(server, second) == "Done"


def test_kill_9_of_the_train_worker_leaves_no_orphan_and_its_training_goes_on(server, long_training):
    before = trainers(server)
    server.child("worker", "train").kill()
    killed = time.monotonic()
    wait_until(lambda: not any(trainer.is_running() for trainer in before), seconds=15)
    wait_until(lambda: server.job_status(long_training) == "Running" and trainers(server))
    assert time.monotonic() - killed < 20


def test_kill_9_of_the_work_horse_leaves_no_orphan_and_its_training_goes_on(server, long_training):
    before = trainers(server)
    (horse,) = server.child("worker", "train").children()
    horse.kill()
    wait_until(lambda: not any(trainer.is_running() for trainer in before), seconds=15)
    wait_until(lambda: server.job_status(long_training) == "Running" and trainers(server))


def test_a_worker_that_is_told_to_stop_puts_its_job_back(server, long_training):
    before = trainers(server)
    server.child("worker", "train").terminate()
    wait_until(lambda: before != trainers(server))
    wait_until(lambda: server.job_status(long_training) == "Running" and trainers(server))  # under the worker after it


def test_an_abort_of_a_build_leaves_no_process_and_no_files(server, images):
    many = server.home / "many"
    for category in images.iterdir():
        (many / category.name).mkdir(parents=True)
        for number in range(1000):
            os.link(category / "0.png", many / category.name / f"{number}.png")
    job_id = server.create_job(
        DATASETS, dataset_name="large", folder_train=str(many), resize_width=512, resize_height=512
    )
    wait_until(lambda: server.json(f"/datasets/{job_id}/status")["progress"] > 0.06)
    (horse,) = server.child("worker", "io").children()
    builders = horse.children()
    asked = time.monotonic()
    server.send("POST", f"/datasets/{job_id}/abort")
    wait_until(lambda: server.job_status(job_id) == "Aborted", seconds=10)
    assert time.monotonic() - asked < 2
    assert psutil.wait_procs(builders, timeout=5)[1] == []
    assert list(Path(server.json(f"/datasets/{job_id}.json")["directory"]).iterdir()) == []


def test_a_worker_runs_no_function_that_is_not_a_task(server):
    """Whoever can write to Redis still can't have a worker call what he likes."""
    redis = Redis.from_url(json.loads((server.home / "embedded" / "urls.json").read_text())["REDIS_URL"])
    queue = Queue("io", connection=redis, serializer=JSONSerializer)
    job = queue.enqueue("os.mkdir", str(server.home / "made"))
    wait_until(lambda: not QueuedJob.exists(job.id, connection=redis))  # refused, and thrown away
    assert not (server.home / "made").exists()


def test_redis_that_is_emptied_stops_nothing(server, dataset, long_training):
    waiting = server.create_job(MODELS, **lenet(dataset, train_epochs=1))
    redis = Redis.from_url(json.loads((server.home / "embedded" / "urls.json").read_text())["REDIS_URL"])
    redis.flushall()
    server.send("POST", f"/models/{long_training}/abort")
    assert end_of(server, waiting) == "Done"


def test_redis_that_is_killed_stops_nothing(server, dataset, long_training):
    waiting = server.create_job(MODELS, **lenet(dataset, train_epochs=1))
    next(part for part in server.children() if part.name() in ("valkey-server", "redis-server")).kill()
    server.send("POST", f"/models/{long_training}/abort")
    assert end_of(server, waiting) == "Done"


def test_a_training_survives_a_postgresql_that_is_killed(server, dataset):
    job_id = server.create_job(MODELS, **lenet(dataset, train_epochs=60))
    wait_until(lambda: server.json(f"/models/{job_id}.json").get("val_outputs"))
    postgres = next(part for part in server.children() if part.name() == "postgres")
    postgres.kill()
    wait_until(lambda: server.get("/index.json") == 200)
    assert end_of(server, job_id) == "Done"
    told = server.json(f"/models/{job_id}.json")
    assert told["val_outputs"]["epoch"] == told["snapshots"] == list(range(1, 61))
