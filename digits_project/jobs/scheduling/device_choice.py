"""Chooses the devices that a job can use together: those of one host, or of several if no host has enough."""

from collections.abc import Iterable, Iterator, Sequence

from django.conf import settings

from digits_project.common.errors import BadInput
from digits_project.jobs.models import Device, DeviceRequest


class NoUsableDevice(BadInput):
    """No device that is on can be used by an engine of the job; the text says why."""


def on_one_host(wanted: DeviceRequest, devices: Iterable[Device]) -> Iterator[list[Device]]:
    """For each host, the devices that one engine of the request can use together; the preferred engine's first."""
    for members in _by_host(devices):
        for engine in wanted.engines:
            if usable := [device for device in members if device.runs(engine)]:
                yield usable
        if not wanted.engines:
            yield members


def on_several_hosts(wanted: DeviceRequest, devices: Iterable[Device]) -> Iterator[list[Device]]:
    """The devices of all hosts that an engine can use together, those of the first host first (hosts_in_order); the
    preferred engine's first. Nothing for a request of certain numbers, which are those of one host."""
    known = list(devices)
    for engine in () if wanted.indexes else wanted.spanning:
        hosts = hosts_in_order(device for device in known if device.runs(engine))
        if len(hosts) > 1:
            yield [device for members in hosts for device in members]


def hosts_in_order(devices: Iterable[Device]) -> list[list[Device]]:
    """The devices of a job, one list for each host: the host with the most devices first, then by name."""
    return sorted(_by_host(devices), key=lambda members: (-len(members), members[0].host))


def countable(devices: Iterable[Device]) -> list[Device]:
    """The devices that a request for a number of GPUs counts: GPUs or, if there are none and the server counts CPUs
    instead (DIGITS_CPU_RANKS), CPUs."""
    known = list(devices)
    gpus = [device for device in known if device.type == Device.Type.GPU]
    return known if settings.DIGITS_CPU_RANKS and not gpus else gpus


def fitting(wanted: DeviceRequest, devices: list[Device]) -> list[Device]:
    """The requested ones among devices that can be used together; [] if one is missing."""
    chosen = [device for device in devices if device.index in wanted.indexes]
    chosen = chosen if wanted.indexes else devices[: wanted.count]
    return chosen if len(chosen) == (len(wanted.indexes) or wanted.count) else []


def check(wanted: DeviceRequest) -> None:
    """Raise BadInput if no host has these GPUs for an engine of the job, nor all hosts together if an engine can use
    several, or no device at all. Without any GPU, a request for a number of GPUs is valid, because it then means the
    CPU."""
    enabled = list(Device.objects.filter(enabled=True).order_by("index", "host"))
    gpus = [device for device in enabled if device.type == Device.Type.GPU]
    hosts, shared = list(on_one_host(wanted, gpus)), list(on_several_hosts(wanted, gpus))
    if any(fitting(wanted, members) for members in (*hosts, *shared)):
        return
    why = why_unusable(enabled, wanted)
    if wanted.indexes:
        there = ", ".join(str(index) for index in sorted({gpu.index for members in hosts for gpu in members})) or "none"
        raise BadInput(f"No host has GPU {', '.join(map(str, wanted.indexes))} to train on; there are: {there}.{why}")
    if shared:
        most = max(map(len, shared))
        raise BadInput(f"There are no {wanted.count} GPUs to train on; all hosts together have {most}.{why}")
    if hosts:
        raise BadInput(
            f"No host has {wanted.count} GPUs to train on; the largest number on one host is "
            f"{max(map(len, hosts))}.{why}"
        )
    if enabled and not any(device.suits(wanted) for device in enabled):
        more = "`manage.py doctor` on that host says more."
        raise NoUsableDevice(f"No host has a device to train on.{why} {more}")


def why_unusable(enabled: Sequence[Device], wanted: DeviceRequest) -> str:
    """Why engines of the request can't use these devices, a sentence each: as the hosts reported, else only which."""
    unusable = [device for device in enabled if not device.suits(wanted)]
    reported = {device: "; ".join(filter(None, device.obstacles(wanted.engines))) for device in unusable}
    unknown = ", ".join(str(device) for device, obstacles in reported.items() if not obstacles)
    sentences = [f" {device}: {obstacles}." for device, obstacles in reported.items() if obstacles]
    return "".join(sentences) + (f" {' and '.join(wanted.engines)} can't use {unknown}." if unknown else "")


def _by_host(devices: Iterable[Device]) -> list[list[Device]]:
    hosts: dict[str, list[Device]] = {}
    for device in devices:
        hosts.setdefault(device.host, []).append(device)
    return list(hosts.values())
