"""Leasing devices of several hosts to one job: all of them or none, and no two jobs that wait for each other."""

from dataclasses import replace

import pytest

from digits_project.common.errors import BadInput
from digits_project.jobs import lifecycle
from digits_project.jobs.execution.lost_process import handle_lost_process
from digits_project.jobs.models import Device, DeviceRequest, Status
from digits_project.jobs.scheduling import device_choice, devices, queues
from digits_project.jobs.scheduling.dispatch import dispatch
from models_app.models import TrainedModel
from models_app.training.engines import ENGINES
from tests.support.samples.engine_samples import SECOND

pytestmark = pytest.mark.django_db


@pytest.fixture
def workers(register_worker):
    """The registered workers by host."""
    return {}


@pytest.fixture
def hosts(register_worker, workers):
    """A function that creates hosts with these numbers of GPUs, and a train worker for each GPU."""

    def create(**gpus):
        for host, count in gpus.items():
            Device.objects.bulk_create(Device(host=host, type="gpu", index=i) for i in range(count))
            workers[host] = [register_worker(f"train-{host}") for _ in range(count)]

    return create


@pytest.fixture
def make_waiting(built_dataset, make_model, monkeypatch):
    """A function that creates a waiting model for an engine with ranks."""
    monkeypatch.setitem(ENGINES, "second", replace(SECOND, ranks_module="somewhere"))

    def make(count=1, **fields):
        model = make_model(built_dataset, **fields)
        TrainedModel.objects.filter(pk=model.pk).update(usable_engines=["second"], select_gpu_count=count)
        return model

    return make


def leased_devices(model):
    return sorted(str(device) for device in Device.objects.filter(leased_to=model.pk))


def queued(host):
    return [queued_id.rpartition("-")[0] for queued_id in queues.queue(f"train-{host}").job_ids]


def start(model, host):
    """Move the model to Running on a host, in another process."""
    lifecycle.advance(model, Status.RUNNING, worker=f"{host}/1/1")


def lose(model):
    handle_lost_process(model, "A host is gone.")


def test_a_job_for_more_gpus_than_a_host_has_gets_those_of_several(hosts, make_waiting):
    hosts(a=1, b=2)
    model = make_waiting(3)
    dispatch()
    assert leased_devices(model) == ["gpu0 of a", "gpu0 of b", "gpu1 of b"]
    assert [held[0].host for held in devices.hosts_of(model)] == ["b", "a"]


def test_only_the_host_with_the_most_devices_runs_the_job(hosts, make_waiting):
    hosts(a=1, b=2)
    model = make_waiting(3)
    dispatch()
    dispatch()
    assert (queued("a"), queued("b")) == ([], [model.pk])


def test_a_job_that_one_host_could_serve_waits_for_it(hosts, make_waiting):
    hosts(a=1, b=2)
    first, both = make_waiting(), make_waiting(2)
    Device.objects.filter(host="b", index=0).update(leased_to=first.pk)
    dispatch()
    assert leased_devices(both) == []


def test_an_engine_that_computes_in_one_process_gets_no_devices_of_several_hosts(hosts, make_waiting):
    hosts(a=1, b=2)
    model = make_waiting(3)
    TrainedModel.objects.update(usable_engines=["mxnet"])
    dispatch()
    assert leased_devices(model) == []


def test_a_job_gets_the_devices_of_all_hosts_or_none(hosts, make_waiting):
    hosts(a=1, b=1)
    first, both = make_waiting(), make_waiting(2)
    dispatch()
    assert (leased_devices(first), leased_devices(both)) == (["gpu0 of a"], [])
    lifecycle.advance(first, Status.ABORTED)
    dispatch()
    assert leased_devices(both) == ["gpu0 of a", "gpu0 of b"]


def test_a_job_that_waits_for_several_hosts_keeps_their_gpus_from_later_jobs(hosts, make_waiting):
    hosts(a=1, b=1)
    first, both, last = make_waiting(), make_waiting(2), make_waiting()
    dispatch()
    assert (leased_devices(first), leased_devices(both), leased_devices(last)) == (["gpu0 of a"], [], [])


def test_two_jobs_that_share_hosts_do_not_wait_for_each_other(hosts, make_waiting, workers):
    """Each host has two GPUs and one worker, so only one of the jobs gets devices."""
    hosts(a=2, b=2)
    for host in ("a", "b"):
        workers[host][1].register_death()
    first, second = make_waiting(3), make_waiting(3)
    dispatch()
    lifecycle.advance(first, Status.ABORTED)
    small = make_waiting()
    dispatch()
    assert (len(leased_devices(second)), leased_devices(small)) == (3, [])


def test_the_devices_of_a_waiting_job_are_free_once_one_of_its_hosts_has_no_worker(hosts, make_waiting, workers):
    hosts(a=1, b=1)
    model = make_waiting(2)
    dispatch()
    workers["a"][0].register_death()
    dispatch()
    assert leased_devices(model) == []


def test_a_job_that_has_lost_a_host_continues_with_the_devices_that_are_left(hosts, make_waiting, workers):
    hosts(a=1, b=2)
    model = make_waiting(3)
    dispatch()
    start(model, "b")
    workers["a"][0].register_death()
    lose(model)
    dispatch()
    assert leased_devices(model) == ["gpu0 of b", "gpu1 of b"]


def test_a_job_that_has_lost_a_process_keeps_its_devices_while_all_hosts_are_there(hosts, make_waiting):
    hosts(a=1, b=2)
    model = make_waiting(3)
    dispatch()
    start(model, "b")
    lose(model)
    dispatch()
    assert len(leased_devices(model)) == 3


def test_a_request_for_more_gpus_than_all_hosts_have_is_refused(hosts, make_waiting):
    hosts(a=1, b=2)
    wanted = DeviceRequest((), 3, ("mxnet", "second"), spanning=("second",))
    device_choice.check(wanted)
    with pytest.raises(BadInput, match="There are no 4 GPUs to train on; all hosts together have 3"):
        device_choice.check(replace(wanted, count=4))
    with pytest.raises(BadInput, match="No host has 3 GPUs to train on; the largest number on one host is 2"):
        device_choice.check(replace(wanted, spanning=()))


@pytest.fixture
def cpus(settings, register_worker):
    """A function that creates hosts with so many CPU devices, which count like GPUs, and workers for them."""
    settings.DIGITS_CPU_RANKS = 2

    def create(**ranks):
        for host, count in ranks.items():
            Device.objects.bulk_create(Device(host=host, type="cpu", index=i) for i in range(count))
            for _ in range(count):
                register_worker(f"train-{host}")

    return create


@pytest.mark.parametrize("count, leased", [(1, 1), (2, 2), (3, 3), (8, 3)])
def test_cpus_that_count_like_gpus_are_leased_by_number_as_far_as_there_are_any(cpus, make_waiting, count, leased):
    cpus(a=2, b=1)
    model = make_waiting(count)
    dispatch()
    assert len(leased_devices(model)) == leased


def test_cpus_are_not_counted_where_there_is_a_gpu(cpus, hosts, make_waiting):
    cpus(a=2)
    hosts(b=1)
    model = make_waiting(2)
    dispatch()
    assert leased_devices(model) == []


def test_a_host_registers_as_many_cpus_as_it_has_cpu_ranks(settings, db):
    settings.DIGITS_CPU_RANKS = 2
    assert [device.label for device in devices.register() if device.type == "cpu"] == ["cpu", "cpu1"]
    settings.DIGITS_CPU_RANKS = 0
    assert [device.label for device in devices.register() if device.type == "cpu"] == ["cpu"]
