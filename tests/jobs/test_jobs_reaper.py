"""Jobs that lost their process."""

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
    """A process that does nothing but live."""
    child = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"], stdout=-1)
    with child:
        child.stdout.readline()
        yield child
        child.kill()


@pytest.fixture
def running(make_dataset, process):
    """A dataset that the process runs."""
    began = stat(process.pid)[19]
    dataset = make_dataset()
    lifecycle.advance(dataset, Status.RUNNING, worker=f"{settings.DIGITS_HOST_NAME}/{process.pid}/{began}")
    return dataset


def stat(pid):
    """The fields of /proc/<pid>/stat from the third on: the state first."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def set_times(job, **times):
    type(job).objects.filter(pk=job.pk).update(**times)


def after_a_tick(job):
    reaper.tick()
    job.refresh_from_db()
    return job.status


def test_a_job_whose_process_lives_and_speaks_is_left_alone(running):
    assert after_a_tick(running) == Status.RUNNING


def test_a_job_whose_process_was_killed_waits_for_another_and_its_history_says_why(running, process):
    process.kill()
    process.wait()
    assert after_a_tick(running) == Status.WAITING
    assert (running.lost_processes, running.worker, running.error) == (1, "", "")
    assert f"pid {process.pid} on {settings.DIGITS_HOST_NAME}) died" in running.status_history[-1][2]


def test_what_a_lost_process_left_half_written_goes_with_the_loss(running, process):
    half = running.directory / "building"
    half.mkdir()
    (half / "train.rec.part").write_bytes(b"half")
    process.kill()
    process.wait()
    after_a_tick(running)
    assert list(running.directory.iterdir()) == []


def test_a_job_that_lost_its_process_is_queued_again_at_once(running, process):
    process.kill()
    process.wait()
    assert after_a_tick(running) == Status.WAITING
    assert [queued_id.rpartition("-")[0] for queued_id in queues.queue("io").job_ids] == [running.pk]


def test_the_third_loss_is_an_error_that_says_why_and_what_to_do(running, process):
    set_times(running, lost_processes=2)
    process.kill()
    process.wait()
    assert after_a_tick(running) == Status.ERROR
    assert f"pid {process.pid} on {settings.DIGITS_HOST_NAME}) died" in running.error
    assert "It has lost 3 processes without coming to its end" in running.error


def test_a_zombie_counts_as_dead(running, process):
    process.kill()  # not waited for: it stays in the process table
    wait_until(lambda: stat(process.pid)[0] == "Z")
    assert after_a_tick(running) == Status.WAITING


def test_a_pid_that_another_process_got_meanwhile_is_not_taken_for_it(running):
    other = Process.parse(running.worker)
    set_times(running, worker=str(other._replace(began=other.began - 1)))
    assert after_a_tick(running) == Status.WAITING


def test_a_process_that_fell_silent_is_killed_and_its_job_goes_to_another(running, process):
    set_times(running, heartbeat_at=timezone.now() - LONG_AGO)
    assert after_a_tick(running) == Status.WAITING
    assert process.wait(30) == -9


def test_a_process_that_ignores_an_abort_is_killed_and_its_job_aborted(running, process):
    set_times(running, abort_requested_at=timezone.now() - LONG_AGO)
    assert after_a_tick(running) == Status.ABORTED
    assert process.wait(30) == -9


def test_an_aborted_job_whose_process_died_is_aborted(running, process):
    set_times(running, abort_requested_at=timezone.now())
    process.kill()
    process.wait()
    assert after_a_tick(running) == Status.ABORTED


def test_a_silent_job_of_another_host_is_ended_without_a_look_at_this_hosts_processes(running, process):
    far = Process.parse(running.worker)._replace(host="elsewhere")
    set_times(running, worker=str(far), heartbeat_at=timezone.now() - LONG_AGO)
    assert after_a_tick(running) == Status.WAITING
    assert process.poll() is None


def test_the_folder_of_a_deletion_that_was_killed_goes_with_the_next_start_and_no_other(make_dataset):
    kept = make_dataset().directory
    left = kept.with_name(f".{kept.name}.deleted")
    left.mkdir()
    directory.finish_removals()
    assert left.exists()  # another process may be at it
    directory.finish_removals(older_than=0)
    assert kept.exists()
    assert not left.exists()


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """The socket that systemd names to a unit of the type "notify"."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def test_it_tells_systemd_and_redis_that_it_works(run_reaper_once, systemd):
    run_reaper_once()
    assert [systemd.recv(100), systemd.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
    assert queues.reapers() == [socket.gethostname()]


@pytest.mark.django_db(transaction=True)
def test_one_whose_database_is_away_lives_but_looks_after_nothing(run_reaper_once, systemd, monkeypatch):
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nonexistent")
    run_reaper_once()
    assert [systemd.recv(100), systemd.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
    assert queues.reapers() == []
    connection.close()
