"""How a training's devices become ranks of one host or of several."""

import socket

import pytest
from django.core.exceptions import ImproperlyConfigured

from digits_project import environment
from digits_project.common.errors import Failed
from digits_project.jobs.models import Device
from models_app.several_hosts import rank_plan
from tests.support.samples.training_samples import config_of


def gpus(host, count):
    return [Device(host=host, type="gpu", index=index) for index in range(count)]


@pytest.fixture
def config(tmp_path):
    """A function that returns a configuration with these fields."""

    def config(**fields):
        return config_of(tmp_path, tmp_path, **({"engine": "torch"} | fields))

    return config


def test_each_host_gets_its_devices_and_its_number_in_the_same_rendezvous(config, settings):
    settings.DIGITS_HOST_ADDRESS, settings.DIGITS_RANK_TIMEOUT = "10.0.0.1", 7
    first, second = rank_plan.on_all_hosts(config(), [gpus("a", 2), gpus("b", 1)])
    assert (first.devices, second.devices) == (("gpu0", "gpu1"), ("gpu0",))
    assert (first.meeting.host, second.meeting.host) == (0, 1)
    assert first.rendezvous | {"host": 1} == second.rendezvous
    assert (first.meeting.hosts, first.meeting.address, first.meeting.timeout) == (2, "10.0.0.1", 7)


def test_the_name_of_a_rendezvous_cannot_be_guessed(config):
    names = {rank_plan.on_all_hosts(config(), [gpus("a", 2)])[0].meeting.identity for _ in range(2)}
    assert [len(name) for name in names] == [32, 32]


@pytest.mark.parametrize("fields, count", [({}, 1), ({"engine": "mxnet"}, 2)])
def test_one_device_or_one_process_for_all_needs_no_rendezvous(config, fields, count):
    [only] = rank_plan.on_all_hosts(config(**fields), [gpus("a", count)])
    assert (len(only.devices), only.rendezvous) == (count, None)


def test_devices_beyond_the_batch_size_are_left_out(config):
    configs = rank_plan.on_all_hosts(config(batch_size=3), [gpus("a", 2), gpus("b", 2), gpus("c", 1)])
    assert [one.devices for one in configs] == [("gpu0", "gpu1"), ("gpu0",)]


def test_the_ranks_meet_at_a_free_port_of_the_configured_ones(settings):
    with socket.socket() as taken:
        taken.bind(("", 0))
        port = taken.getsockname()[1]
        settings.DIGITS_RANK_PORTS = range(port, port + 1)
        with pytest.raises(Failed, match=f"All ports of DIGITS_RANK_PORTS, {port} to {port}, are in use"):
            rank_plan.free_port()
    assert rank_plan.free_port() == port


@pytest.mark.parametrize("value, ports", [("", range(0)), ("29500-29502", range(29500, 29503))])
def test_ports_are_read_from_the_environment(monkeypatch, value, ports):
    monkeypatch.setenv("DIGITS_RANK_PORTS", value)
    assert environment.ports("DIGITS_RANK_PORTS") == ports


@pytest.mark.parametrize("value", ["29500", "a-b", "29500-", "2-1"])
def test_ports_that_are_no_range_stop_the_server(monkeypatch, value):
    monkeypatch.setenv("DIGITS_RANK_PORTS", value)
    with pytest.raises(ImproperlyConfigured, match="it must be two ports such as 29500-29599"):
        environment.ports("DIGITS_RANK_PORTS")
