"""Which GPUs a job gets that asks for certain ones, or for several, or whose engine can't use all of them."""

from dataclasses import replace

import pytest

from digits_project.common.errors import BadInput
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Device, DeviceRequest, Status
from digits_project.jobs.scheduling import devices
from digits_project.jobs.scheduling.dispatch import dispatch
from models_app.training.engines import ENGINES
from tests.support.samples.engine_samples import SECOND

pytestmark = pytest.mark.django_db


@pytest.fixture
def hosts(register_worker):
    """Makes hosts with so many GPUs, and a worker on each; one without a GPU has its CPU on."""

    def hosts(**gpus):
        for host, count in gpus.items():
            Device.objects.create(host=host, type="cpu", enabled=not count)
            Device.objects.bulk_create(Device(host=host, type="gpu", index=i) for i in range(count))
            register_worker(f"train-{host}")

    return hosts


@pytest.fixture
def make_waiting(built_dataset, make_model):
    def make(**fields):
        return make_model(built_dataset, **fields)

    return make


def held(model):
    return [str(device) for device in Device.objects.filter(leased_to=model.pk).order_by("index")]


def test_a_job_gets_the_gpus_that_it_names(hosts, make_waiting):
    hosts(a=1, b=3)
    model = make_waiting(select_gpus=[0, 2])
    dispatch()
    assert held(model) == ["gpu0 of b", "gpu2 of b"]


def test_a_job_gets_so_many_gpus_of_one_host(hosts, make_waiting):
    hosts(a=1, b=2)
    model = make_waiting(select_gpu_count=2)
    dispatch()
    assert held(model) == ["gpu0 of b", "gpu1 of b"]


def test_a_job_holds_all_of_its_gpus_or_none(hosts, make_waiting):
    hosts(a=2)
    first, both = make_waiting(), make_waiting(select_gpu_count=2)
    dispatch()
    assert (held(first), held(both)) == (["gpu0 of a"], [])
    lifecycle.advance(first, Status.ABORTED)
    dispatch()
    assert held(both) == ["gpu0 of a", "gpu1 of a"]


def test_what_a_job_waits_for_is_kept_from_those_behind_it(hosts, make_waiting):
    hosts(a=2)
    first, _both, last = make_waiting(), make_waiting(select_gpu_count=2), make_waiting()
    dispatch()
    assert (held(first), held(last)) == (["gpu0 of a"], [])


def test_a_job_that_waits_for_one_gpu_does_not_stop_those_behind_it(hosts, make_waiting):
    hosts(a=2)
    first, again, last = make_waiting(select_gpus=[0]), make_waiting(select_gpus=[0]), make_waiting()
    dispatch()
    assert (held(first), held(again), held(last)) == (["gpu0 of a"], [], ["gpu1 of a"])


def test_without_any_gpu_several_mean_the_cpu(hosts, make_waiting):
    hosts(a=0)
    model = make_waiting(select_gpu_count=4)
    dispatch()
    assert held(model) == ["cpu of a"]


@pytest.mark.parametrize(
    "wanted, complaint",
    [
        (DeviceRequest((3,)), "No host has GPU 3 to train on; there are: 0, 1."),
        (DeviceRequest((), 3), "No host has 3 GPUs to train on; the most are 2."),
    ],
)
def test_gpus_that_no_host_has_are_refused(hosts, wanted, complaint):
    hosts(a=1, b=2)
    with pytest.raises(BadInput, match=complaint):
        devices.check(wanted)


def test_any_number_is_fine_where_there_is_no_gpu_but_not_a_certain_one(hosts):
    hosts(a=0)
    devices.check(DeviceRequest((), 8))
    with pytest.raises(BadInput, match="No host has GPU 0 to train on; there are: none"):
        devices.check(DeviceRequest((0,)))


@pytest.fixture
def second_engine(monkeypatch):
    """Registers an engine beside MXNet, with code for GPUs of compute capability 7.5 to 12.0."""
    monkeypatch.setitem(ENGINES, "second", SECOND)


@pytest.fixture
def registered(monkeypatch):
    """The device rows of this host with GPUs of these compute capabilities, by label: (enabled, engines)."""

    def registered(*capabilities):
        gpus = [devices.Gpu(index, "fake", 8 << 30, capability) for index, capability in enumerate(capabilities)]
        monkeypatch.setattr(devices, "find_gpus", lambda: gpus)
        return {row.label: (row.enabled, row.engines) for row in devices.register()}

    return registered


def test_a_device_row_says_which_engines_can_use_it(second_engine, registered):
    assert registered((8, 6), (5, 2)) == {
        "gpu0": (True, ["second"]),
        "gpu1": (False, []),
        "cpu": (False, ["mxnet", "second"]),
    }


def test_the_cpu_is_on_where_no_engine_can_use_the_gpus(registered):
    """Of MXNet only the wheel for CPUs is installed here."""
    assert registered((8, 6)) == {"gpu0": (False, []), "cpu": (True, ["mxnet"])}


def test_a_host_reports_the_engines_anew_and_keeps_what_an_operator_switched(registered, second_engine, monkeypatch):
    registered((8, 6))
    Device.objects.update(enabled=False)
    monkeypatch.delitem(ENGINES, "second")
    assert registered((8, 6)) == {"gpu0": (False, []), "cpu": (False, ["mxnet"])}


@pytest.mark.parametrize(
    "wanted, engine",
    [(DeviceRequest(engines=("mxnet", "second")), "mxnet"), (DeviceRequest(engines=("second", "mxnet")), "second"),
     (DeviceRequest(engines=("torch",)), "torch")],
)  # fmt: skip
def test_a_job_is_done_by_its_first_engine_that_can_use_the_device(wanted, engine):
    assert devices.engine_of(wanted, [Device(type="gpu", engines=["second", "mxnet"])]) == engine


def test_a_job_on_several_devices_is_done_by_an_engine_that_can_use_them_all():
    held = [Device(type="gpu", engines=["mxnet", "second"]), Device(type="gpu", engines=["second"])]
    assert devices.engine_of(DeviceRequest(engines=("mxnet", "second")), held) == "second"


@pytest.mark.parametrize(
    "wanted, complaint",
    [
        (DeviceRequest((1,)), "No host has GPU 1 to train on; there are: 0. mxnet can't use gpu1 of b."),
        (DeviceRequest((), 2), "No host has 2 GPUs to train on; the most are 1. mxnet can't use gpu1 of b."),
    ],
)
def test_gpus_that_the_engine_can_not_use_are_refused(hosts, wanted, complaint):
    hosts(b=2)
    Device.objects.filter(index=1).update(engines=["second"])
    devices.check(wanted)
    devices.check(replace(wanted, engines=("mxnet", "second")))
    with pytest.raises(BadInput, match=complaint):
        devices.check(replace(wanted, engines=("mxnet",)))


def test_a_job_is_refused_where_its_engine_can_use_no_device_at_all(hosts):
    hosts(a=0)
    Device.objects.update(engines=[])
    with pytest.raises(BadInput, match=r"No host has a device to train on\. mxnet can't use cpu of a\."):
        devices.check(DeviceRequest(engines=("mxnet",)))
