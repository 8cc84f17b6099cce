"""The devices of this host, and who holds which."""

import logging
from collections.abc import Iterable
from contextlib import contextmanager
from typing import NamedTuple

import pynvml
from django.conf import settings
from django.core.cache import cache

from digits_project.common.errors import BadInput
from digits_project.jobs.models import Device, Job, Wanted, job_kinds

log = logging.getLogger(__name__)


class Gpu(NamedTuple):
    """What NVML tells of one GPU. `memory` is in bytes, `compute_capability` e.g. (8, 6)."""

    index: int
    model_name: str
    memory: int
    compute_capability: tuple[int, int]


def register() -> list[Device]:
    """Bring this host's device rows up to date; what an operator switched off stays off.

    A new GPU is on when some kind of job can run on it, a new CPU when no GPU is: training is far slower there.
    """
    gpus = find_gpus()
    usable = {gpu.index for gpu in gpus if any(kind.runs_on(gpu) for kind in job_kinds())}
    rows = [
        _register(Device.Type.GPU, gpu.index, gpu.index in usable, gpu.model_name, gpu.memory, gpu.compute_capability)
        for gpu in gpus
    ]
    rows.append(_register(Device.Type.CPU, 0, not usable, "CPU", 0, ()))
    Device.objects.filter(host=settings.DIGITS_HOST_NAME).exclude(pk__in=[row.pk for row in rows]).delete()
    return rows


def find_gpus() -> list[Gpu]:
    """The NVIDIA GPUs of this host; none where there is no driver."""
    try:
        with nvml():
            return [_describe(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as none:
        log.info("No GPU: %s", none)
        return []


class DevicePool:
    """The devices of the hosts whose workers listen, for a dispatcher that deals them out inside its transaction.

    SKIP LOCKED: a row that another process is about to take, or an operator edits, is not waited for.
    """

    def __init__(self, queue_names: list[str]):
        hosts = [name.removeprefix("train-") for name in queue_names]
        enabled = Device.objects.filter(enabled=True, host__in=hosts).order_by("-type", "index", "host")
        self._enabled = list(enabled)
        self._free = list(enabled.select_for_update(skip_locked=True).filter(leased_to=""))

    @property
    def is_empty(self) -> bool:
        return not self._free

    def lease(self, job: Job) -> list[Device]:
        """Give `job` all the devices that it wants, of one host, or none.

        What it then waits for is kept from those behind it, so that jobs for one GPU don't starve one for several.
        """
        found = self._find(job.wanted())
        for device in found:
            device.leased_to = job.pk
            device.save(update_fields=["leased_to"])
        taken = found or self._awaited(job.wanted())
        self._free = [device for device in self._free if device not in taken]
        return found

    def _find(self, wanted: Wanted) -> list[Device]:
        if wanted == Wanted():
            return self._free[:1]  # a GPU, else a CPU
        fitting = (_fitting(wanted, gpus) for gpus in _by_host(self._free))
        found = next(filter(None, fitting), [])
        # Where there is no GPU at all, so many of any means the CPU: scripts ask the same on every server.
        without_gpus = not wanted.indexes and not _by_host(self._enabled)
        return found or (self._free[:1] if without_gpus else [])

    def _awaited(self, wanted: Wanted) -> list[Device]:
        host = next((gpus for gpus in _by_host(self._enabled) if _fitting(wanted, gpus)), [])
        return _fitting(wanted, host) if wanted.indexes else host


def check(wanted: Wanted) -> None:
    """Raise BadInput if no host has these GPUs. A number of any is fine where there is no GPU: it means the CPU."""
    hosts = _by_host(Device.objects.filter(enabled=True))
    if any(_fitting(wanted, gpus) for gpus in hosts):
        return
    if wanted.indexes:
        there = ", ".join(str(index) for index in sorted({gpu.index for gpus in hosts for gpu in gpus})) or "none"
        raise BadInput(f"No host has GPU {', '.join(map(str, wanted.indexes))} to train on; there are: {there}.")
    if hosts:
        raise BadInput(f"No host has {wanted.count} GPUs to train on; the most are {max(map(len, hosts))}.")


def held_by(job: Job) -> list[Device]:
    """The devices of this host that `job` holds."""
    return list(Device.objects.filter(leased_to=job.pk, host=settings.DIGITS_HOST_NAME).order_by("index"))


def _by_host(devices: Iterable[Device]) -> list[list[Device]]:
    """The GPUs among them, those of each host."""
    hosts: dict[str, list[Device]] = {}
    for device in devices:
        if device.type == Device.Type.GPU:
            hosts.setdefault(device.host, []).append(device)
    return list(hosts.values())


def _fitting(wanted: Wanted, gpus: list[Device]) -> list[Device]:
    """Those of one host's GPUs that are wanted; none where they are not all there."""
    chosen = [gpu for gpu in gpus if gpu.index in wanted.indexes] if wanted.indexes else gpus[: wanted.count]
    return chosen if len(chosen) == (len(wanted.indexes) or wanted.count) else []


@contextmanager
def nvml():
    """NVML is ready inside the block. Raises NVMLError."""
    pynvml.nvmlInit()
    try:
        yield
    finally:
        pynvml.nvmlShutdown()


def _describe(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    return Gpu(
        index,
        pynvml.nvmlDeviceGetName(handle),
        pynvml.nvmlDeviceGetMemoryInfo(handle).total,
        tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
    )


def _register(type_: str, index: int, enabled: bool, model_name: str, memory: int, compute: tuple) -> Device:
    facts = {"model_name": model_name, "memory": memory, "compute_capability": ".".join(map(str, compute))}
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
    """Percent of the time that it computes; bytes of its memory."""

    percent: int
    memory_used: int
    memory: int


def gpu_use(device: Device) -> GpuUse | None:
    """None for a CPU, a GPU of another host, and where NVML does not tell."""
    if device.type != Device.Type.GPU or device.host != settings.DIGITS_HOST_NAME:
        return None
    return cache.get_or_set(f"gpu-use-{device.index}", lambda: _ask(device.index), FRESH_SECONDS)


def _ask(index: int) -> GpuUse | None:
    try:
        with nvml():
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            return GpuUse(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu, memory.used, memory.total)
    except pynvml.NVMLError:
        return None
