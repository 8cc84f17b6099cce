"""Ctrl-C and SIGTERM in commands that follow jobs."""

import os
import signal
import subprocess
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from datasets.models import Dataset
from digits_project.jobs.models import Device, Status
from digits_project.jobs.scheduling.dispatch import TURN
from models_app.models import TrainedModel
from tests.support.console import start_command, wait_until_a_lock_blocks
from tests.support.server import wait_until

REPEATED = """
import os, signal
from digits_project.jobs.console.follow import Interrupts
with Interrupts(lambda: print("the cursor is back", flush=True)) as interrupts:
    os.kill(os.getpid(), signal.SIGINT)
    assert interrupts.asked
    {then}
    os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.parametrize(
    "then",
    [
        pytest.param("interrupts.may_leave()", id="after-the-abort"),
        pytest.param("os.kill(os.getpid(), signal.SIGINT)", id="before-the-abort"),
    ],
)
def test_a_second_ctrl_c_after_the_abort_or_else_a_third_exits_at_once_and_restores_the_cursor(then):
    code = REPEATED.format(then=then)
    process = start_command("shell", "-v", "0", "-c", code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.communicate() == ("the cursor is back\n", "")
    assert process.returncode == 130


@pytest.mark.trainer
@pytest.mark.timeout(300)  # the command and its trainer take long to start on a busy machine
@pytest.mark.django_db(transaction=True)
def test_ctrl_c_aborts_a_training_without_a_worker(built_dataset, cpu):
    process = start_command(
        "train_model", "lenet", "--dataset", built_dataset.pk, "--standard-networks", "lenet",
        "--train-epochs", 50_000, "--snapshot-interval", 0, "--here", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: TrainedModel.objects.filter(metrics__isnull=False).exists() or process.poll() is not None, 240)
    process.send_signal(signal.SIGSTOP)  # it is slow to react, as on a busy machine
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it
    later = timezone.now() + timedelta(seconds=2)  # the trainer would have ended by then
    wait_until(lambda: TrainedModel.objects.exclude(status=Status.RUNNING, heartbeat_at__lt=later).exists(), 60)
    process.send_signal(signal.SIGCONT)
    log = process.communicate()[1].decode()
    model = TrainedModel.objects.get()
    assert (process.returncode, model.status) == (130, Status.ABORTED), log
    assert [change[0] for change in model.status_history] == ["Waiting", "Running", "Aborted"]  # no process was lost
    assert "Aborting" in log
    assert not Device.objects.exclude(leased_to="").exists()


@pytest.mark.django_db(transaction=True)
def test_a_second_ctrl_c_exits_before_the_job_has_stopped(built_dataset, make_dataset, register_worker):
    register_worker("io")
    process = start_command("resume", aborted_job(make_dataset).pk, stderr=subprocess.PIPE)
    wait_until(lambda: Dataset.objects.filter(status=Status.WAITING).exists())
    Dataset.objects.update(status=Status.RUNNING, worker="elsewhere/1/1")  # no process sees the abort request
    process.send_signal(signal.SIGINT)
    wait_until(lambda: b"Aborting" in process.stderr.readline())
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130


@pytest.mark.django_db(transaction=True)
def test_a_second_signal_before_the_abort_leaves_no_job_behind(make_dataset, register_worker):
    register_worker("io")
    job = aborted_job(make_dataset)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])
        process = start_command("resume", job.pk, stderr=subprocess.PIPE)
        wait_until_a_lock_blocks()
        for number in (signal.SIGINT, signal.SIGTERM):  # two of one number would arrive as one
            process.send_signal(number)
    process.communicate()
    job.refresh_from_db()
    assert (process.returncode, job.status) == (130, Status.ABORTED)


def aborted_job(make_dataset):
    """An aborted job, which can be resumed."""
    dataset = make_dataset()
    call_command("abort", dataset.pk)
    return dataset
