"""Fixtures that many tests share. The plugin tests.support.services provides PostgreSQL and Redis."""

import gc
import shutil
import threading

import pytest
from django.conf import settings
from django.contrib.contenttypes.management import create_contenttypes
from django.core.cache import cache
from django.db import connection
from django.db.models.signals import post_migrate
from django.test import override_settings

from datasets import imagedb
from datasets import services as dataset_services
from datasets.tasks import build_dataset
from digits_project.common.shared_memory.web_processes import shared
from digits_project.jobs.execution import reaper
from digits_project.jobs.execution.worker import JobWorker
from digits_project.jobs.models import Device
from digits_project.jobs.scheduling import devices, queues
from models_app import services as model_services
from models_app.tasks import train_model
from models_app.training.engines import ENGINES
from tests.support.markers import pytest_collection_modifyitems, pytest_itemcollected
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.services import QUEUE_PREFIX

__all__ = ["pytest_collection_modifyitems", "pytest_itemcollected"]


def pytest_make_parametrize_id(val):
    """Name a parameter of bytes after its length.

    All processes of xdist have to collect the same names, and the output of a compressor can contain the time.
    """
    return f"{len(val)}_bytes" if isinstance(val, bytes) else None


def pytest_collection_finish():
    """Exempt the half million objects of imports and collection, which live to the end, from garbage collection."""
    gc.enable()
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup):
    """pytest-django's fixture of this name makes the test database; after that, it is quick to empty.

    Django truncates every table after a test that commits, which gives each table and index a new file, and makes the
    content types and permissions anew. Tests write few rows, so deleting these is faster; and no test changes content
    types or permissions.
    """
    type(connection.ops).sql_flush = _delete_statements
    assert post_migrate.disconnect(create_contenttypes)
    assert post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")


def _delete_statements(operations, style, tables, **options):
    """Replaces DatabaseOperations.sql_flush. All runs in one transaction, at whose end foreign keys are checked."""
    names = sorted(set(tables) - {"django_content_type", "auth_permission"})
    return ["; ".join(f"DELETE FROM {operations.quote_name(name)}" for name in names)] if names else []


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory):
    """120 images of digits in ten categories. Tests must not write here."""
    return write_28_pixel_digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def _redis():
    """One connection for all tests: to make one for each takes longer than many of them."""
    with queues.connection() as connection:
        yield connection


@pytest.fixture(autouse=True)
def _clean_slate(_redis):
    """Remove the job folders, queues and cached values of the test before."""
    shutil.rmtree(settings.DIGITS_JOBS_DIR, ignore_errors=True)
    if keys := list(_redis.scan_iter(f"{QUEUE_PREFIX}:*")):
        _redis.delete(*keys)
    cache.clear()
    shared().counters.clear()


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords():
    """Hash passwords with MD5: Django's own hashers are slow on purpose."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture
def open_server(settings):
    """Serve without accounts."""
    settings.DIGITS_AUTH = "open"


@pytest.fixture
def make_dataset(digits_folder):
    """A function that creates a waiting dataset, by default of 28×28 grayscale digits."""

    def make(**fields):
        defaults = {"name": "digits", "folder_train": str(digits_folder)}
        size = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}
        return dataset_services.create_dataset("ada", **(defaults | size | fields))

    return make


@pytest.fixture(scope="session")
def build_once(tmp_path_factory):
    """An imagedb.build with a cache: it builds each Spec once per process, and copies the result from then on.

    Hundreds of tests need the same few digits, and forking builders from a large process is slow.
    """
    cached = []
    build = imagedb.build

    def build_once(spec, directory, report):
        found = next(((built, folder) for known, built, folder in cached if known == spec), None)
        if found:
            shutil.copytree(found[1], directory, dirs_exist_ok=True)
            return found[0]
        built, folder = build(spec, directory, report), tmp_path_factory.mktemp("built")
        cached.append((spec, built, shutil.copytree(directory, folder, dirs_exist_ok=True)))
        return built

    return build_once


@pytest.fixture
def make_built(make_dataset, build_once, monkeypatch):
    """A function that creates a dataset of digits that is Done, with further fields."""

    def make_built(**fields):
        dataset = make_dataset(**fields)
        with monkeypatch.context() as builder:
            builder.setattr(imagedb, "build", build_once)
            build_dataset(dataset.pk)
        dataset.refresh_from_db()
        return dataset

    return make_built


@pytest.fixture
def built_dataset(make_built):
    """A dataset of digits that is Done."""
    return make_built()


@pytest.fixture
def make_model():
    """A function that creates a waiting model, by default a LeNet, on a dataset."""

    def make(dataset, **fields):
        defaults = {"name": "lenet", "standard_network": "lenet", "train_epochs": 1, "random_seed": 1}
        rate, batch_size = fields.pop("learning_rate", 0.01), fields.pop("batch_size", None)
        swept = {"learning_rates": [rate], "batch_sizes": [batch_size]}
        return model_services.create_models("ada", dataset, **swept, **(defaults | fields))[0]

    return make


@pytest.fixture
def register_worker():
    """A function that registers a worker for a queue with RQ; the worker runs no jobs."""
    workers = []

    def register(queue_name):
        worker = JobWorker([queue_name])
        worker.register_birth()
        workers.append(worker)
        return worker

    yield register
    for worker in workers:
        worker.register_death()


@pytest.fixture
def run_reaper_once(db):
    """A function that runs the reaper for its first round."""

    def run_reaper_once():
        stop = threading.Event()
        threading.Timer(0.1, stop.set).start()
        reaper.run_forever(stop)

    return run_reaper_once


@pytest.fixture
def only_mxnet(monkeypatch):
    """Leave MXNet as the only registered engine, also where others are installed."""
    for name in set(ENGINES) - {"mxnet"}:
        monkeypatch.delitem(ENGINES, name)


@pytest.fixture
def cpu(db):
    """The CPU of this host, registered as a device."""
    return next(device for device in devices.register() if device.type == "cpu")


@pytest.fixture
def run_training_task(cpu):
    """A function that runs the worker's task of a waiting model on the CPU and returns the model afterwards."""

    def run_training_task(model):
        Device.objects.update(leased_to=model.pk)
        train_model(model.pk)
        model.refresh_from_db()
        return model

    return run_training_task
