"""Folders of jobs under creation: removed after their process was killed, kept while it lives."""

import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections, transaction

from datasets.models import Dataset
from digits_project.jobs import directory, services
from digits_project.jobs.models import find_job
from tests.support.console import start_command
from tests.support.server import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
CREATORS, JOBS_EACH = 4, 10


def folders():
    return {path.name for path in settings.DIGITS_JOBS_DIR.iterdir()}


def rows():
    return set(Dataset.objects.values_list("pk", flat=True))


def sweep():
    directory.remove_abandoned(find_job, older_than=-1)


def test_the_folder_of_a_job_whose_creator_was_killed_is_removed(make_dataset, tmp_path):
    kept = make_dataset()
    os.mkfifo(tmp_path / "train.txt")  # the process blocks on copying this file into the folder
    creator = start_command(
        "shell", "-c", CREATE.format(fifo=str(tmp_path / "train.txt"), owner="ada"), stdin=subprocess.DEVNULL
    )
    new = wait_until(lambda: {name for name in folders() if not name.startswith(".")} - {kept.pk}, 60)
    sweep()
    assert new < folders()  # the creator lives
    creator.send_signal(signal.SIGKILL)
    creator.wait()
    directory.remove_abandoned(find_job)
    assert new < folders()  # the folder is too young
    sweep()
    assert folders() == {kept.pk}


CREATE = """
from django.db import transaction
from datasets.models import Dataset
from digits_project.jobs.services import submit
with transaction.atomic():
    submit(Dataset(owner={owner!r}, name="d", folder_train="/", method="textfile"))
    open({fifo!r}).read()
"""


@pytest.mark.slow(2)
def test_repeated_sweeps_remove_no_folder_of_a_job_under_creation(make_dataset):
    stop = threading.Event()

    def sweep_repeatedly():
        try:
            while not stop.is_set():
                sweep()
        finally:
            connections.close_all()

    def create_several(_):
        try:
            return [create(number % 5 == 0) for number in range(JOBS_EACH)]
        finally:
            connections.close_all()

    def create(fails):
        with transaction.atomic():
            dataset = make_dataset()
            (dataset.directory / "file").touch()
            if fails:
                transaction.set_rollback(True)
        return None if fails else dataset.pk

    with ThreadPoolExecutor(CREATORS + 2) as pool:
        sweepers = [pool.submit(sweep_repeatedly) for _ in range(2)]
        created = {pk for pks in pool.map(create_several, range(CREATORS)) for pk in pks if pk}
        stop.set()
        assert [sweeper.exception() for sweeper in sweepers] == [None, None]
    sweep()
    assert rows() == created == folders()
    assert all((settings.DIGITS_JOBS_DIR / pk / "file").exists() for pk in created)


def test_a_job_whose_creator_died_right_after_the_commit_keeps_its_folder(make_dataset):
    dataset = make_dataset()
    directory._marker(dataset.directory).touch()
    sweep()
    assert folders() == {dataset.pk}


def test_a_folder_without_a_marker_stays_even_without_a_row(make_dataset):
    dataset = make_dataset()
    Dataset.objects.all().delete()  # as if the server was started on another database
    sweep()
    assert folders() == {dataset.pk}


def test_a_refused_job_leaves_neither_folder_nor_marker(make_dataset):
    with pytest.raises(ValidationError):
        make_dataset(folder_train="/nowhere")
    settings.DIGITS_JOBS_DIR.mkdir(exist_ok=True)
    assert folders() == set()


def test_an_imported_job_has_a_marker_until_it_is_stored(digits_folder):
    dataset = Dataset(job_id="20260101-000000-0001", name="d", owner="ada", folder_train=str(digits_folder))
    seen = []

    def fill(job):
        sweep()
        seen.append(folders())

    services.take_in(dataset, fill)
    assert seen == [{dataset.pk, f".{dataset.pk}.creating"}]
    assert folders() == {dataset.pk}
    again = Dataset(job_id=dataset.pk, name="d", owner="ada", folder_train=str(digits_folder))
    with pytest.raises(FileExistsError):
        services.take_in(again, fill)
    assert folders() == {dataset.pk}


def test_the_reaper_removes_abandoned_folders_when_it_starts(run_reaper_once, make_dataset, monkeypatch):
    monkeypatch.setattr(directory.remove_abandoned, "__defaults__", (-1,))
    abandoned = make_dataset().directory
    Dataset.objects.all().delete()
    directory._marker(abandoned).touch()
    run_reaper_once()
    assert folders() == set()
