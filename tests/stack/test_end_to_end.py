"""The whole server over HTTP: creating, training, aborting, and killed processes."""

import json
import os
from pathlib import Path

import psutil
import pytest
from redis import Redis
from rq import Queue
from rq.job import Job as QueuedJob
from rq.serializers import JSONSerializer

from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.server import RunningServer, await_exit, wait_until
from tests.support.services import temporary_home
from tests.support.stopwatch import Stopwatch

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
    assert wait_for_end(server, job_id) == "Done"
    return job_id


@pytest.fixture
def long_training(server, dataset):
    """The id of a model in a long training, past its first epoch; deleted after the test."""
    job_id = server.create_job(MODELS, **lenet(dataset, train_epochs=50_000, snapshot_interval=0))
    wait_until(lambda: server.json(f"/models/{job_id}.json").get("val_outputs"))
    yield job_id
    server.send("DELETE", f"/models/{job_id}")


@pytest.fixture
def paused_training(server, long_training):
    """A long_training whose trainer pauses, so that it takes no processor time from what the test waits for.

    An abort kills such a trainer after a second.
    """
    (trainer,) = trainers(server)
    trainer.suspend()
    return long_training


def lenet(dataset, **fields):
    return {"model_name": "lenet", "dataset": dataset, "standard_networks": "lenet", "random_seed": 1} | fields


def wait_for_end(server, job_id):
    """Wait until the job has ended; return its status."""
    return wait_until(lambda: (status := server.job_status(job_id)) in ENDED and status, seconds=60)


def trainers(server):
    """The trainer processes of this server."""
    found = [(process, process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    own = str(server.home)
    return [process for process, words in found if "models_app.training" in words and own in " ".join(words)]


@pytest.fixture(scope="module")
def trained(server, dataset):
    """The id of a model that is Done."""
    job_id = server.create_job(MODELS, **lenet(dataset, train_epochs=12))
    assert wait_for_end(server, job_id) == "Done"
    return job_id


def classify(server, model, image):
    """(status code, the best category)."""
    status, body = server.send("POST", CLASSIFY, job_id=model, image_path=str(image))
    return status, next(iter(json.loads(body).get("predictions", [None])))


def test_a_model_trained_on_a_folder_classifies_an_image(server, trained, images):
    model = server.json(f"/models/{trained}.json")
    assert model["snapshots"] == list(range(1, 13))
    assert model["val_outputs"]["epoch"] == list(range(1, 13))
    assert model["val_outputs"]["accuracy"][-1] > 0.9
    assert classify(server, trained, images / "7" / "0.png") == (200, "7")


def test_an_abort_ends_a_training_and_its_process_within_two_seconds(server, long_training):
    with Stopwatch() as watch:
        assert server.send("POST", f"/models/{long_training}/abort") == (200, b"Job aborted.")
        wait_until(lambda: server.job_status(long_training) == "Aborted" and not trainers(server), seconds=30)
    assert watch.seconds < 2


def test_deleting_a_running_job_removes_its_folder_and_process(server, long_training):
    folder = Path(server.json(f"/models/{long_training}.json")["directory"])
    assert folder.is_dir()
    assert server.send("DELETE", f"/models/{long_training}") == (200, b"Job deleted.")
    assert not folder.exists()
    assert trainers(server) == []
    assert server.get(f"/models/{long_training}.json") == 404


def test_images_are_classified_during_a_training(server, trained, images, paused_training):
    assert classify(server, trained, images / "4" / "0.png") == (200, "4")
    assert server.job_status(paused_training) == "Running"


def test_a_second_training_waits_until_the_device_is_free(server, dataset, paused_training):
    second = server.create_job(MODELS, **lenet(dataset, train_epochs=1))
    assert server.job_status(second) == "Waiting"
    server.send("POST", f"/models/{paused_training}/abort")
    assert wait_for_end(server, second) == "Done"


def await_next_trainer(server, job_id, before):
    """Wait until the trainers `before` have ended and the job runs again."""
    await_exit(before)
    wait_until(lambda: server.job_status(job_id) == "Running" and trainers(server))


def test_a_training_resumes_without_orphans_after_its_worker_or_work_horse_was_killed_or_terminated(
    server, long_training
):
    before = trainers(server)
    server.child("worker", "train").kill()
    with Stopwatch() as watch:
        await_next_trainer(server, long_training, before)
    assert watch.seconds < 20

    before = trainers(server)
    (horse,) = server.child("worker", "train").children()
    horse.kill()
    await_next_trainer(server, long_training, before)

    before = trainers(server)
    server.child("worker", "train").terminate()
    await_next_trainer(server, long_training, before)  # under the next worker


def test_aborting_a_build_leaves_no_process_and_no_files(server, images):
    copies = server.home / "copies"
    for category in images.iterdir():
        (copies / category.name).mkdir(parents=True)
        for number in range(1000):
            os.link(category / "0.png", copies / category.name / f"{number}.png")
    job_id = server.create_job(
        DATASETS, dataset_name="large", folder_train=str(copies), resize_width=512, resize_height=512
    )
    wait_until(lambda: server.json(f"/datasets/{job_id}/status")["progress"] > 0.06)
    (horse,) = server.child("worker", "io").children()
    builders = horse.children()
    with Stopwatch() as watch:
        server.send("POST", f"/datasets/{job_id}/abort")
        wait_until(lambda: server.job_status(job_id) == "Aborted", seconds=30)
    assert watch.seconds < 2
    await_exit(builders)
    assert list(Path(server.json(f"/datasets/{job_id}.json")["directory"]).iterdir()) == []


def test_a_worker_runs_no_function_that_is_not_a_task(server):
    """Access to Redis is not enough to run code in a worker."""
    redis = Redis.from_url(json.loads((server.home / "embedded" / "urls.json").read_text())["REDIS_URL"])
    queue = Queue("io", connection=redis, serializer=JSONSerializer)
    job = queue.enqueue("os.mkdir", str(server.home / "made"))
    wait_until(lambda: not QueuedJob.exists(job.id, connection=redis))  # refused and dropped
    assert not (server.home / "made").exists()


def test_waiting_jobs_run_after_redis_was_emptied(server, dataset, paused_training):
    waiting = server.create_job(MODELS, **lenet(dataset, train_epochs=1))
    redis = Redis.from_url(json.loads((server.home / "embedded" / "urls.json").read_text())["REDIS_URL"])
    redis.flushall()
    server.send("POST", f"/models/{paused_training}/abort")
    assert wait_for_end(server, waiting) == "Done"


def test_waiting_jobs_run_after_redis_was_killed(server, dataset, paused_training):
    waiting = server.create_job(MODELS, **lenet(dataset, train_epochs=1))
    next(part for part in server.children() if part.name() in ("valkey-server", "redis-server")).kill()
    server.send("POST", f"/models/{paused_training}/abort")
    assert wait_for_end(server, waiting) == "Done"


def test_a_training_survives_a_killed_postgresql(server, dataset):
    job_id = server.create_job(MODELS, **lenet(dataset, train_epochs=12, keep_snapshots=0))
    wait_until(lambda: server.json(f"/models/{job_id}.json").get("val_outputs"))
    postgres = next(part for part in server.children() if part.name() == "postgres")
    postgres.kill()
    wait_until(lambda: server.get("/index.json") == 200)
    assert wait_for_end(server, job_id) == "Done"
    model = server.json(f"/models/{job_id}.json")
    assert model["val_outputs"]["epoch"] == model["snapshots"] == list(range(1, 13))
