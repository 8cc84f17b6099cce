"""The devices of this host, and who holds which."""

import logging
from contextlib import contextmanager
from typing import NamedTuple

import pynvml
from django.conf import settings

from digits_project.jobs.models import Device, Job, job_kinds

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
        with _nvml():
            return [_describe(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as none:
        log.info("No GPU: %s", none)
        return []


def lease(job: Job, queue_names: list[str]) -> Device | None:
    """Give `job` a free device whose workers listen on one of `queue_names`; call it inside a transaction.

    SKIP LOCKED: a row that another process is about to take, or an operator edits, is not waited for.
    """
    hosts = [name.removeprefix("train-") for name in queue_names]
    free = Device.objects.select_for_update(skip_locked=True).filter(enabled=True, leased_to="", host__in=hosts)
    device = free.order_by("-type", "index").first()
    if device:
        device.leased_to = job.pk
        device.save(update_fields=["leased_to"])
    return device


def held_by(job: Job) -> Device | None:
    """The device of this host that `job` holds."""
    return Device.objects.filter(leased_to=job.pk, host=settings.DIGITS_HOST_NAME).first()


@contextmanager
def _nvml():
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
