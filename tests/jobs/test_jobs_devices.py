"""Leasing devices: certain GPUs, several GPUs, and devices that an engine can't use."""

from dataclasses import replace

import pytest

from digits_project.common.errors import BadInput
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Device, DeviceRequest, Status
from digits_project.jobs.scheduling import device_choice, devices
from digits_project.jobs.scheduling.dispatch import dispatch
from models_app.training.engines import ENGINES
from tests.support.samples.engine_samples import SECOND

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("only_mxnet")]


@pytest.fixture
def hosts(register_worker):
    """A function that creates hosts with these numbers of GPUs and a worker; a host without GPUs has its CPU on."""

    def create(**gpus):
        for host, count in gpus.items():
            Device.objects.create(host=host, type="cpu", enabled=not count)
            Device.objects.bulk_create(Device(host=host, type="gpu", index=i) for i in range(count))
            register_worker(f"train-{host}")

    return create


@pytest.fixture
def make_waiting(built_dataset, make_model):
    def make(**fields):
        return make_model(built_dataset, **fields)

    return make


def leased_devices(model):
    return [str(device) for device in Device.objects.filter(leased_to=model.pk).order_by("index")]


def test_a_job_is_leased_the_gpus_that_it_names(hosts, make_waiting):
    hosts(a=1, b=3)
    model = make_waiting(select_gpus=[0, 2])
    dispatch()
    assert leased_devices(model) == ["gpu0 of b", "gpu2 of b"]


def test_a_job_is_leased_the_requested_number_of_gpus_on_one_host(hosts, make_waiting):
    hosts(a=1, b=2)
    model = make_waiting(select_gpu_count=2)
    dispatch()
    assert leased_devices(model) == ["gpu0 of b", "gpu1 of b"]


def test_a_job_is_leased_all_of_its_gpus_or_none(hosts, make_waiting):
    hosts(a=2)
    first, both = make_waiting(), make_waiting(select_gpu_count=2)
    dispatch()
    assert (leased_devices(first), leased_devices(both)) == (["gpu0 of a"], [])
    lifecycle.advance(first, Status.ABORTED)
    dispatch()
    assert leased_devices(both) == ["gpu0 of a", "gpu1 of a"]


def test_a_job_that_waits_for_several_gpus_keeps_them_from_later_jobs(hosts, make_waiting):
    hosts(a=2)
    first, _both, last = make_waiting(), make_waiting(select_gpu_count=2), make_waiting()
    dispatch()
    assert (leased_devices(first), leased_devices(last)) == (["gpu0 of a"], [])


def test_a_job_that_waits_for_one_gpu_does_not_block_later_jobs(hosts, make_waiting):
    hosts(a=2)
    first, again, last = make_waiting(select_gpus=[0]), make_waiting(select_gpus=[0]), make_waiting()
    dispatch()
    assert (leased_devices(first), leased_devices(again), leased_devices(last)) == (["gpu0 of a"], [], ["gpu1 of a"])


def test_a_request_for_several_gpus_gets_the_cpu_where_no_host_has_a_gpu(hosts, make_waiting):
    hosts(a=0)
    model = make_waiting(select_gpu_count=4)
    dispatch()
    assert leased_devices(model) == ["cpu of a"]


@pytest.mark.parametrize(
    "requested, message",
    [
        (DeviceRequest((3,)), "No host has GPU 3 to train on; there are: 0, 1."),
        (DeviceRequest((), 3), "No host has 3 GPUs to train on; the largest number on one host is 2."),
    ],
)
def test_a_request_for_gpus_that_no_host_has_is_refused(hosts, requested, message):
    hosts(a=1, b=2)
    with pytest.raises(BadInput, match=message):
        device_choice.check(requested)


def test_where_no_host_has_a_gpu_any_number_passes_but_no_index(hosts):
    hosts(a=0)
    device_choice.check(DeviceRequest((), 8))
    with pytest.raises(BadInput, match="No host has GPU 0 to train on; there are: none"):
        device_choice.check(DeviceRequest((0,)))


@pytest.fixture
def second_engine(monkeypatch):
    """An engine beside MXNet, with code for GPUs of compute capability 7.5 to 12.0."""
    monkeypatch.setitem(ENGINES, "second", SECOND)


@pytest.fixture
def register_gpus(monkeypatch):
    """A function that registers GPUs of these compute capabilities and returns {label: (enabled, engines)}."""

    def register_gpus(*capabilities):
        gpus = [devices.Gpu(index, "fake", 8 << 30, capability) for index, capability in enumerate(capabilities)]
        monkeypatch.setattr(devices, "find_gpus", lambda: gpus)
        return {row.label: (row.enabled, row.engines) for row in devices.register()}

    return register_gpus


def test_a_device_row_names_the_engines_that_can_use_it(second_engine, register_gpus):
    assert register_gpus((8, 6), (5, 2)) == {
        "gpu0": (True, ["second"]),
        "gpu1": (False, []),
        "cpu": (False, ["mxnet", "second"]),
    }


def test_the_cpu_is_enabled_where_no_engine_can_use_the_gpus(register_gpus):
    """Only MXNet's wheel for CPUs is installed."""
    assert register_gpus((8, 6)) == {"gpu0": (False, []), "cpu": (True, ["mxnet"])}


def test_registering_again_updates_the_engines_and_keeps_the_switches(register_gpus, second_engine, monkeypatch):
    register_gpus((8, 6))
    Device.objects.update(enabled=False)
    monkeypatch.delitem(ENGINES, "second")
    assert register_gpus((8, 6)) == {"gpu0": (False, []), "cpu": (False, ["mxnet"])}


@pytest.mark.parametrize(
    "requested, engine",
    [(DeviceRequest(engines=("mxnet", "second")), "mxnet"), (DeviceRequest(engines=("second", "mxnet")), "second"),
     (DeviceRequest(engines=("torch",)), "torch")],
)  # fmt: skip
def test_a_job_uses_its_first_engine_that_can_use_the_device(requested, engine):
    assert devices.engine_of(requested, [Device(type="gpu", engines=["second", "mxnet"])]) == engine


def test_a_job_on_several_devices_uses_an_engine_that_can_use_them_all():
    leased = [Device(type="gpu", engines=["mxnet", "second"]), Device(type="gpu", engines=["second"])]
    assert devices.engine_of(DeviceRequest(engines=("mxnet", "second")), leased) == "second"


@pytest.mark.parametrize(
    "requested, message",
    [
        (DeviceRequest((1,)), "No host has GPU 1 to train on; there are: 0. mxnet can't use gpu1 of b."),
        (
            DeviceRequest((), 2),
            "No host has 2 GPUs to train on; the largest number on one host is 1. mxnet can't use gpu1 of b.",
        ),
    ],
)
def test_a_request_for_gpus_that_the_engine_cannot_use_is_refused(hosts, requested, message):
    hosts(b=2)
    Device.objects.filter(index=1).update(engines=["second"])
    device_choice.check(requested)
    device_choice.check(replace(requested, engines=("mxnet", "second")))
    with pytest.raises(BadInput, match=message):
        device_choice.check(replace(requested, engines=("mxnet",)))


def test_a_request_is_refused_where_the_engine_can_use_no_device(hosts):
    hosts(a=0)
    Device.objects.update(engines=[])
    with pytest.raises(BadInput, match=r"No host has a device to train on\. mxnet can't use cpu of a\."):
        device_choice.check(DeviceRequest(engines=("mxnet",)))
