"""Registers the devices of a host, and finds those that a job holds."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import cache

from digits_project.common.resources import ComputeCapability, limit
from digits_project.jobs.models import Device, DeviceRequest, Job, job_classes
from digits_project.jobs.scheduling.device_choice import hosts_in_order
from digits_project.jobs.scheduling.job_engine import JobEngine

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
    can use it, a new CPU if there is no such GPU, because training on a CPU is far slower. With DIGITS_CPU_RANKS the
    CPU counts as so many devices."""
    gpus = [(gpu, _engine_facts(gpu.compute_capability)) for gpu in find_gpus()]
    rows = [_register(Device.Type.GPU, gpu.index, bool(facts["engines"]), gpu, facts) for gpu, facts in gpus]
    without_gpu, facts_of_cpu = not any(facts["engines"] for _, facts in gpus), _engine_facts(None)
    rows += [
        _register(Device.Type.CPU, index, without_gpu, None, facts_of_cpu)
        for index in range(max(1, settings.DIGITS_CPU_RANKS))
    ]
    Device.objects.filter(host=settings.DIGITS_HOST_NAME).exclude(pk__in=[row.pk for row in rows]).delete()
    return rows


def _engine_facts(capability: ComputeCapability | None) -> dict[str, Any]:
    """The columns of a device about engines."""
    reports = {
        engine.name: {"title": engine.title, "version": engine.version(), "obstacle": engine.obstacle(capability)}
        for engine in all_engines()
    }
    usable = [name for name, report in reports.items() if not report["obstacle"]]
    return {"engines": usable, "engine_reports": reports}


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


def is_anywhere(engine: str) -> bool:
    """Whether an engine can use a device that is on."""
    return any(engine in (device.engines or ()) for device in Device.objects.filter(enabled=True))


def held_by(job: Job) -> list[Device]:
    """The devices of this host that `job` holds."""
    return list(Device.objects.filter(leased_to=job.pk, host=settings.DIGITS_HOST_NAME).order_by("index"))


def hosts_of(job: Job) -> list[list[Device]]:
    """The devices that `job` holds, one list for each host; the first host runs the job, the others help it."""
    return hosts_in_order(Device.objects.filter(leased_to=job.pk).order_by("index"))


def engine_of(wanted: DeviceRequest, held: Iterable[Device]) -> str:
    """The engine that does the job on these devices: the first requested one that can use all of them. If none can,
    it is the first requested one, which then reports what is missing."""
    shared = (name for name in wanted.engines if all(device.runs(name) for device in held))
    return next(shared, wanted.engines[0])


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


def _register(type_: str, index: int, enabled: bool, gpu: Gpu | None, engine_facts: dict[str, Any]) -> Device:
    facts: dict[str, Any] = {"model_name": "CPU", "memory": limit().size, "compute_capability": ""}
    if gpu:
        capability = ".".join(map(str, gpu.compute_capability))
        facts = {"model_name": gpu.model_name, "memory": gpu.memory, "compute_capability": capability}
    facts |= engine_facts | {"weights": weights_here()}
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
