"""Registers the devices of a host, and leases them to jobs."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import cache

from digits_project.common.errors import BadInput
from digits_project.common.resources import ComputeCapability
from digits_project.jobs.models import Device, DeviceRequest, Job, JobEngine, job_classes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gpu:
    """A GPU as NVML describes it. `memory` is in bytes; `compute_capability` is a pair such as (8, 6)."""

    index: int
    model_name: str
    memory: int
    compute_capability: ComputeCapability


def register() -> list[Device]:
    """Update this host's device rows. A device that an operator switched off stays off. A new GPU is on if an engine
    can use it, a new CPU if there is no such GPU, because training on a CPU is far slower."""
    gpus = {gpu: engines_of(gpu.compute_capability) for gpu in find_gpus()}
    rows = [
        _register(
            Device.Type.GPU, gpu.index, bool(engines), gpu.model_name, gpu.memory, gpu.compute_capability, engines
        )
        for gpu, engines in gpus.items()
    ]
    rows.append(_register(Device.Type.CPU, 0, not any(gpus.values()), "CPU", 0, (), engines_of(None)))
    Device.objects.filter(host=settings.DIGITS_HOST_NAME).exclude(pk__in=[row.pk for row in rows]).delete()
    return rows


def all_engines() -> list[JobEngine]:
    """The engines that jobs can use, the preferred first."""
    return list({engine.name: engine for job_class in job_classes() for engine in job_class.engines()}.values())


def engines_of(capability: ComputeCapability | None) -> list[str]:
    """The names of the engines that can use a GPU of this host (None: its CPU), the preferred one first."""
    return [engine.name for engine in all_engines() if engine.runs_on(capability)]


def weights_here() -> list[str]:
    """The names of the weights that jobs can read on this host."""
    return list(dict.fromkeys(name for job_class in job_classes() for name in job_class.installed_weights()))


def find_gpus() -> list[Gpu]:
    """The NVIDIA GPUs of this host; [] without a driver."""
    try:
        with nvml() as driver:
            return [_describe(driver, index) for index in range(driver.nvmlDeviceGetCount())]
    except NoNvml as none:
        log.info("No GPU: %s", none)
        return []


class DevicePool:
    """The free devices of hosts with a listening worker, which a dispatcher leases inside its transaction.

    SKIP LOCKED: rows that another process is leasing, or that an operator edits, are skipped.
    """

    def __init__(self, queue_names: list[str]):
        hosts = [name.removeprefix("train-") for name in queue_names]
        # Devices that no engine can use are left out, so that they do not make the pool look filled.
        enabled = Device.objects.filter(enabled=True, host__in=hosts).exclude(engines=[])
        ordered = enabled.order_by("-type", "index", "host")
        self._enabled = list(ordered)
        self._free = list(ordered.select_for_update(skip_locked=True).filter(leased_to=""))

    @property
    def is_empty(self) -> bool:
        return not self._free

    def lease(self, job: Job) -> list[Device]:
        """Lease `job` all the devices that it requests, on one host and for one engine that can use all of them; or
        none. Devices that the job then waits for are kept from the jobs behind it, so that jobs for one GPU don't
        starve a job for several."""
        wanted = job.device_request()
        found = self._find(wanted)
        for device in found:
            device.leased_to = job.pk
            device.save(update_fields=["leased_to"])
        taken = found or self._reserved(wanted)
        self._free = [device for device in self._free if device not in taken]
        return found

    def _find(self, wanted: DeviceRequest) -> list[Device]:
        usable = [device for device in self._free if device.suits(wanted)]
        if wanted.is_any_device:
            return usable[:1]  # a GPU, else a CPU
        fitting = (_fitting(wanted, gpus) for gpus in _usable_together(wanted, usable))
        found = next(filter(None, fitting), [])
        # Without any GPU, a request for a number of GPUs gets the CPU, so that scripts work on every server.
        without_gpus = not wanted.indexes and not any(_usable_together(wanted, self._enabled))
        return found or (usable[:1] if without_gpus else [])

    def _reserved(self, wanted: DeviceRequest) -> list[Device]:
        gpus = next((gpus for gpus in _usable_together(wanted, self._enabled) if _fitting(wanted, gpus)), [])
        return _fitting(wanted, gpus) if wanted.indexes else gpus


def check(wanted: DeviceRequest) -> None:
    """Raise BadInput if no host has these GPUs for an engine of the job, or no device at all. Without any GPU, a
    request for a number of GPUs is valid, because it then means the CPU."""
    enabled = list(Device.objects.filter(enabled=True))
    hosts = list(_usable_together(wanted, enabled))
    if any(_fitting(wanted, gpus) for gpus in hosts):
        return
    unusable = ", ".join(str(device) for device in enabled if not device.suits(wanted))
    why = f" {' and '.join(wanted.engines)} can't use {unusable}." if unusable else ""
    if wanted.indexes:
        there = ", ".join(str(index) for index in sorted({gpu.index for gpus in hosts for gpu in gpus})) or "none"
        raise BadInput(f"No host has GPU {', '.join(map(str, wanted.indexes))} to train on; there are: {there}.{why}")
    if hosts:
        raise BadInput(
            f"No host has {wanted.count} GPUs to train on; the largest number on one host is "
            f"{max(map(len, hosts))}.{why}"
        )
    if enabled and not any(device.suits(wanted) for device in enabled):
        raise BadInput(f"No host has a device to train on.{why} `manage.py doctor` on that host says what is missing.")


def held_by(job: Job) -> list[Device]:
    """The devices of this host that `job` holds."""
    return list(Device.objects.filter(leased_to=job.pk, host=settings.DIGITS_HOST_NAME).order_by("index"))


def engine_of(wanted: DeviceRequest, held: Iterable[Device]) -> str:
    """The engine that does the job on these devices: the first requested one that can use all of them. If none can,
    it is the first requested one, which then reports what is missing."""
    shared = (name for name in wanted.engines if all(device.runs(name) for device in held))
    return next(shared, wanted.engines[0])


def _usable_together(wanted: DeviceRequest, devices: Iterable[Device]) -> Iterator[list[Device]]:
    """Groups of GPUs that one job can use together: for each host, those that one of its engines can use.

    The group of the preferred engine comes first.
    """
    for gpus in _by_host(devices):
        for engine in wanted.engines:
            if usable := [gpu for gpu in gpus if gpu.runs(engine)]:
                yield usable
        if not wanted.engines:
            yield gpus


def _by_host(devices: Iterable[Device]) -> list[list[Device]]:
    """The GPUs among the devices, one list per host."""
    hosts: dict[str, list[Device]] = {}
    for device in devices:
        if device.type == Device.Type.GPU:
            hosts.setdefault(device.host, []).append(device)
    return list(hosts.values())


def _fitting(wanted: DeviceRequest, gpus: list[Device]) -> list[Device]:
    """The requested GPUs among those of one host; [] if one is missing."""
    chosen = [gpu for gpu in gpus if gpu.index in wanted.indexes] if wanted.indexes else gpus[: wanted.count]
    return chosen if len(chosen) == (len(wanted.indexes) or wanted.count) else []


class NoNvml(Exception):
    """NVML can't be used, for example because there is no driver."""


@contextmanager
def nvml() -> Iterator[ModuleType]:
    """The module of NVML, initialised for the block. Imported here, because it takes 5 MiB, and few processes use it.
    Raises NoNvml."""
    driver = import_module("pynvml")
    try:
        driver.nvmlInit()
        try:
            yield driver
        finally:
            driver.nvmlShutdown()
    except driver.NVMLError as fault:
        raise NoNvml(str(fault)) from fault


def _describe(driver: ModuleType, index: int) -> Gpu:
    handle = driver.nvmlDeviceGetHandleByIndex(index)
    return Gpu(
        index,
        driver.nvmlDeviceGetName(handle),
        driver.nvmlDeviceGetMemoryInfo(handle).total,
        tuple(driver.nvmlDeviceGetCudaComputeCapability(handle)),
    )


def _register(
    type_: str, index: int, enabled: bool, model_name: str, memory: int, capability: tuple, engines: list[str]
) -> Device:
    facts: dict[str, Any] = {
        "model_name": model_name,
        "memory": memory,
        "compute_capability": ".".join(map(str, capability)),
    }
    facts |= {"engines": engines, "weights": weights_here()}
    device, _ = Device.objects.update_or_create(
        host=settings.DIGITS_HOST_NAME,
        type=type_,
        index=index,
        defaults=facts,
        create_defaults=facts | {"enabled": enabled},
    )
    return device


FRESH_SECONDS = 2


class GpuUse(NamedTuple):
    """The utilisation of a GPU in percent, and its used and total memory in bytes."""

    percent: int
    memory_used: int
    memory: int


def gpu_use(device: Device) -> GpuUse | None:
    """The use of a GPU of this host; None for a CPU, a GPU of another host, or if NVML fails."""
    if device.type != Device.Type.GPU or device.host != settings.DIGITS_HOST_NAME:
        return None
    return cache.get_or_set(f"gpu-use-{device.index}", lambda: _ask(device.index), FRESH_SECONDS)


def _ask(index: int) -> GpuUse | None:
    try:
        with nvml() as driver:
            handle = driver.nvmlDeviceGetHandleByIndex(index)
            memory = driver.nvmlDeviceGetMemoryInfo(handle)
            return GpuUse(driver.nvmlDeviceGetUtilizationRates(handle).gpu, memory.used, memory.total)
    except NoNvml:
        return None
