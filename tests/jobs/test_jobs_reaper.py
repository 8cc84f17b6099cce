"""The reaper: jobs that lost their process, leftover folders, and its heartbeat."""

import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from digits_project.jobs import directory, lifecycle
from digits_project.jobs.execution import reaper
from digits_project.jobs.models import Status
from digits_project.jobs.process_identity import Process
from digits_project.jobs.scheduling import queues
from tests.support.server import wait_until

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(minutes=5)


@pytest.fixture
def process():
    """A process that sleeps."""
    child = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"], stdout=-1)
    with child:
        child.stdout.readline()
        yield child
        child.kill()


@pytest.fixture
def running(make_dataset, process):
    """A running dataset whose worker is the process."""
    started = stat(process.pid)[19]
    dataset = make_dataset()
    lifecycle.advance(dataset, Status.RUNNING, worker=f"{settings.DIGITS_HOST_NAME}/{process.pid}/{started}")
    return dataset


def stat(pid):
    """The fields of /proc/<pid>/stat from the third, the state, on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def set_times(job, **times):
    type(job).objects.filter(pk=job.pk).update(**times)


def status_after_tick(job):
    reaper.tick()
    job.refresh_from_db()
    return job.status


def test_a_job_whose_process_lives_and_sends_heartbeats_keeps_running(running):
    assert status_after_tick(running) == Status.RUNNING


def test_a_job_whose_process_was_killed_waits_again_and_its_history_has_the_reason(running, process):
    process.kill()
    process.wait()
    assert status_after_tick(running) == Status.WAITING
    assert (running.lost_processes, running.worker, running.error) == (1, "", "")
    assert f"pid {process.pid} on {settings.DIGITS_HOST_NAME}) died" in running.status_history[-1][2]


def test_partial_files_of_a_lost_process_are_removed(running, process):
    partial = running.directory / "building"
    partial.mkdir()
    (partial / "train.rec.part").write_bytes(b"half")
    process.kill()
    process.wait()
    status_after_tick(running)
    assert list(running.directory.iterdir()) == []


def test_a_job_that_lost_its_process_is_queued_again_at_once(running, process):
    process.kill()
    process.wait()
    assert status_after_tick(running) == Status.WAITING
    assert [queued_id.rpartition("-")[0] for queued_id in queues.queue("io").job_ids] == [running.pk]


def test_the_third_lost_process_ends_a_job_with_the_reason(running, process):
    set_times(running, lost_processes=2)
    process.kill()
    process.wait()
    assert status_after_tick(running) == Status.ERROR
    assert f"pid {process.pid} on {settings.DIGITS_HOST_NAME}) died" in running.error
    assert "The job has lost 3 processes without reaching its end" in running.error


def test_a_zombie_counts_as_dead(running, process):
    process.kill()  # without wait() it stays in the process table
    wait_until(lambda: stat(process.pid)[0] == "Z")
    assert status_after_tick(running) == Status.WAITING


def test_a_reused_pid_is_not_taken_for_the_lost_process(running):
    other = Process.parse(running.worker)
    set_times(running, worker=str(other._replace(began=other.began - 1)))
    assert status_after_tick(running) == Status.WAITING


def test_a_process_without_heartbeats_is_killed_and_its_job_waits_again(running, process):
    set_times(running, heartbeat_at=timezone.now() - LONG_AGO)
    assert status_after_tick(running) == Status.WAITING
    assert process.wait(30) == -9


def test_a_process_that_ignores_an_abort_is_killed_and_its_job_aborted(running, process):
    set_times(running, abort_requested_at=timezone.now() - LONG_AGO)
    assert status_after_tick(running) == Status.ABORTED
    assert process.wait(30) == -9


def test_a_job_with_an_abort_request_whose_process_died_becomes_aborted(running, process):
    set_times(running, abort_requested_at=timezone.now())
    process.kill()
    process.wait()
    assert status_after_tick(running) == Status.ABORTED


def test_a_job_without_heartbeats_of_another_host_waits_again_and_no_local_process_is_killed(running, process):
    remote = Process.parse(running.worker)._replace(host="elsewhere")
    set_times(running, worker=str(remote), heartbeat_at=timezone.now() - LONG_AGO)
    assert status_after_tick(running) == Status.WAITING
    assert process.poll() is None


def test_the_folder_of_an_interrupted_deletion_is_removed_once_it_is_old_enough(make_dataset):
    kept = make_dataset().directory
    leftover = kept.with_name(f".{kept.name}.deleted")
    leftover.mkdir()
    directory.finish_removals()
    assert leftover.exists()  # another process can be deleting it
    directory.finish_removals(older_than=0)
    assert kept.exists()
    assert not leftover.exists()


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """The socket that systemd gives to a unit of type "notify"."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def test_the_reaper_reports_to_systemd_and_redis_that_it_works(run_reaper_once, systemd):
    run_reaper_once()
    assert [systemd.recv(100), systemd.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
    assert queues.reapers() == [socket.gethostname()]


@pytest.mark.django_db(transaction=True)
def test_a_reaper_without_a_database_keeps_running_but_is_not_listed(run_reaper_once, systemd, monkeypatch):
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nonexistent")
    run_reaper_once()
    assert [systemd.recv(100), systemd.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
    assert queues.reapers() == []
    connection.close()
