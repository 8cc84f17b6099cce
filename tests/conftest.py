"""What many tests share. PostgreSQL and Redis come from the plugin tests.support.services."""

import gc
import shutil
import threading

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import override_settings

from datasets import imagedb
from datasets import services as dataset_services
from datasets.tasks import build_dataset
from digits_project.jobs.execution import reaper
from digits_project.jobs.execution.worker import JobWorker
from digits_project.jobs.scheduling import devices, queues
from models_app import services as model_services
from tests.support.markers import pytest_collection_modifyitems, pytest_itemcollected
from tests.support.samples.digits_samples import write_digits
from tests.support.services import QUEUE_PREFIX

__all__ = ["pytest_collection_modifyitems", "pytest_itemcollected"]


def pytest_make_parametrize_id(val):
    """Bytes stay out of the tests' names: processes that share the tests out must all come to the same names, and what
    a compressor wrote differs with the second."""
    return f"{len(val)}_bytes" if isinstance(val, bytes) else None


def pytest_collection_finish():
    """The collector looks at what was imported and collected no more: half a million objects that stay."""
    gc.enable()
    gc.freeze()


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory):
    """120 digits in ten categories; read only."""
    return write_digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture(autouse=True)
def _clean_slate():
    """No test sees another's job folders or queues."""
    shutil.rmtree(settings.DIGITS_JOBS_DIR, ignore_errors=True)
    redis = queues.connection()
    if keys := list(redis.scan_iter(f"{QUEUE_PREFIX}:*")):
        redis.delete(*keys)
    cache.clear()


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords():
    """Django's own hashes are slow on purpose."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture
def open_server(settings):
    """A server without accounts."""
    settings.DIGITS_AUTH = "open"


@pytest.fixture
def make_dataset(digits_folder):
    """A waiting dataset of 28×28 grayscale digits, unless told otherwise."""

    def make(**fields):
        defaults = {"name": "digits", "folder_train": str(digits_folder)}
        size = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}
        return dataset_services.create_dataset("ada", **(defaults | size | fields))

    return make


@pytest.fixture(scope="session")
def build_once(tmp_path_factory):
    """Stands in for imagedb.build: what it built in this process it copies. Forked builders of a large process are
    slow, and hundreds of tests need the same few digits."""
    kept = []
    build = imagedb.build

    def build_once(spec, directory, report):
        found = next(((built, folder) for known, built, folder in kept if known == spec), None)
        if found:
            shutil.copytree(found[1], directory, dirs_exist_ok=True)
            return found[0]
        built, folder = build(spec, directory, report), tmp_path_factory.mktemp("built")
        kept.append((spec, built, shutil.copytree(directory, folder, dirs_exist_ok=True)))
        return built

    return build_once


@pytest.fixture
def built_dataset(make_dataset, build_once, monkeypatch):
    """A dataset that is Done."""
    dataset = make_dataset()
    with monkeypatch.context() as builder:
        builder.setattr(imagedb, "build", build_once)
        build_dataset(dataset.pk)
    dataset.refresh_from_db()
    return dataset


@pytest.fixture
def make_model():
    """A waiting LeNet on a dataset."""

    def make(dataset, **fields):
        defaults = {"name": "lenet", "standard_network": "lenet", "train_epochs": 1, "random_seed": 1}
        rate, batch_size = fields.pop("learning_rate", 0.01), fields.pop("batch_size", None)
        varied = {"learning_rates": [rate], "batch_sizes": [batch_size]}
        return model_services.create_models("ada", dataset, **varied, **(defaults | fields))[0]

    return make


@pytest.fixture
def live_worker():
    """Registers a worker with RQ as one that listens on a queue; it runs nothing."""
    born = []

    def live(queue_name):
        worker = JobWorker([queue_name])
        worker.register_birth()
        born.append(worker)
        return worker

    yield live
    for worker in born:
        worker.register_death()


@pytest.fixture
def one_tick(db):
    """Runs the reaper for its first look."""

    def one_tick():
        stop = threading.Event()
        threading.Timer(0.1, stop.set).start()
        reaper.run_forever(stop)

    return one_tick


@pytest.fixture
def cpu(db):
    """This host's CPU as the only device."""
    return next(device for device in devices.register() if device.type == "cpu")
