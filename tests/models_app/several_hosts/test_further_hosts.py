"""A training on several hosts notices that a further host is gone, though no connection to it was closed."""

import pytest
from rq import Worker
from rq.serializers import JSONSerializer

from digits_project.jobs.execution.runner import Stopped
from digits_project.jobs.models import Device
from digits_project.jobs.scheduling import queues
from models_app.several_hosts import host_ranks
from models_app.several_hosts.host_ranks import FurtherHosts
from models_app.trainer_process import TrainerDied
from tests.support.server import wait_until

PROGRESS = {"event": "progress"}


@pytest.fixture
def further_hosts(monkeypatch):
    """Those of a training on the devices of two hosts, which wait only for moments."""
    for name in ("WORKERS_SECONDS", "SILENT_SECONDS", "ABSENT_SECONDS"):
        monkeypatch.setattr(host_ranks, name, 0.0)
    return FurtherHosts([[Device(host="first")], [Device(host="second")]])


@pytest.fixture
def worker():
    """A worker of the second host that has registered itself."""
    worker = Worker([queues.queue("train-second")], connection=queues.connection(), serializer=JSONSerializer)
    worker.register_birth()
    return worker


def check_until(error, further_hosts):
    """Check without events until this error is raised; returns its text."""
    with pytest.raises(error) as raised:
        wait_until(lambda: further_hosts.check(None))
    return str(raised.value)


def test_a_silent_training_whose_further_host_has_no_worker_any_more_has_lost_it(further_hosts, worker):
    further_hosts.check(PROGRESS)
    worker.register_death()
    assert "there is no worker at train-second any more" in check_until(TrainerDied, further_hosts)


def test_a_silent_training_goes_on_while_its_further_host_has_a_worker(further_hosts, worker):
    further_hosts.check(PROGRESS)
    for _ in range(3):
        further_hosts.check(None)


def test_a_training_that_sends_events_needs_no_worker(further_hosts, worker, monkeypatch):
    monkeypatch.setattr(host_ranks, "SILENT_SECONDS", 60.0)
    further_hosts.check(PROGRESS)
    worker.register_death()
    for _ in range(3):
        further_hosts.check(None)


def test_a_training_whose_ranks_have_not_come_goes_back_to_waiting_without_the_worker(further_hosts, worker):
    further_hosts.check(None)
    worker.register_death()
    check_until(Stopped, further_hosts)
