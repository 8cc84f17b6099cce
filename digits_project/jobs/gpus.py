"""How busy the GPUs of this host are, as NVML tells."""

from typing import NamedTuple

import pynvml
from django.conf import settings
from django.core.cache import cache

from digits_project.jobs import devices
from digits_project.jobs.models import Device

FRESH_SECONDS = 2


class Use(NamedTuple):
    """Percent of the time that it computes; bytes of its memory."""

    percent: int
    memory_used: int
    memory: int


def use(device: Device) -> Use | None:
    """None for a CPU, a GPU of another host, and where NVML does not tell."""
    if device.type != Device.Type.GPU or device.host != settings.DIGITS_HOST_NAME:
        return None
    return cache.get_or_set(f"gpu-use-{device.index}", lambda: _ask(device.index), FRESH_SECONDS)


def _ask(index: int) -> Use | None:
    try:
        with devices.nvml():
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            return Use(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu, memory.used, memory.total)
    except pynvml.NVMLError:
        return None
