"""Folders of jobs that were being created: those of a killed process go, those of a living one never."""

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
CREATORS, EACH = 4, 25


def folders():
    return {path.name for path in settings.DIGITS_JOBS_DIR.iterdir()}


def rows():
    return set(Dataset.objects.values_list("pk", flat=True))


def sweep():
    directory.remove_abandoned(find_job, older_than=-1)


def test_the_folder_of_a_process_that_was_killed_while_it_created_a_job_is_removed(make_dataset, tmp_path):
    kept = make_dataset()
    os.mkfifo(tmp_path / "train.txt")  # what it copies into the folder never comes
    creating = start_command(
        "shell", "-c", CREATE.format(fifo=str(tmp_path / "train.txt"), owner="ada"), stdin=subprocess.DEVNULL
    )
    new = wait_until(lambda: {name for name in folders() if not name.startswith(".")} - {kept.pk}, 60)
    sweep()
    assert new < folders()  # it lives
    creating.send_signal(signal.SIGKILL)
    creating.wait()
    directory.remove_abandoned(find_job)
    assert new < folders()  # too young
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


def test_no_folder_is_removed_while_its_job_is_created_however_often_it_is_looked_for(make_dataset):
    stop = threading.Event()

    def sweep_all_the_time():
        try:
            while not stop.is_set():
                sweep()
        finally:
            connections.close_all()

    def create_some(_):
        try:
            return [create(number % 5 == 0) for number in range(EACH)]
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
        sweepers = [pool.submit(sweep_all_the_time) for _ in range(2)]
        made = {pk for some in pool.map(create_some, range(CREATORS)) for pk in some if pk}
        stop.set()
        assert [sweeper.exception() for sweeper in sweepers] == [None, None]
    sweep()
    assert rows() == made == folders()
    assert all((settings.DIGITS_JOBS_DIR / pk / "file").exists() for pk in made)


def test_a_job_whose_process_died_right_after_its_commit_keeps_its_folder(make_dataset):
    dataset = make_dataset()
    directory._marker(dataset.directory).touch()
    sweep()
    assert folders() == {dataset.pk}


def test_a_folder_that_no_process_claimed_stays_whatever_the_database_says(make_dataset):
    dataset = make_dataset()
    Dataset.objects.all().delete()  # as where the server is started on another database
    sweep()
    assert folders() == {dataset.pk}


def test_a_job_that_is_not_created_leaves_neither_folder_nor_claim(make_dataset):
    with pytest.raises(ValidationError):
        make_dataset(folder_train="/nowhere")
    settings.DIGITS_JOBS_DIR.mkdir(exist_ok=True)
    assert folders() == set()


def test_a_job_that_is_taken_in_has_a_claim_until_it_is_stored(digits_folder):
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


def test_the_reaper_looks_for_abandoned_folders_when_it_starts(run_reaper_once, make_dataset, monkeypatch):
    monkeypatch.setattr(directory.remove_abandoned, "__defaults__", (-1,))
    abandoned = make_dataset().directory
    Dataset.objects.all().delete()
    directory._marker(abandoned).touch()
    run_reaper_once()
    assert folders() == set()
