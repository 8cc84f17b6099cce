"""What a running job takes of its host: the load and memory of its GPUs, the cores and memory of its processes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import psutil

from digits_project.jobs.models import Device
from digits_project.jobs.scheduling.devices import gpu_use

FIND_SECONDS = 10.0  # between two searches for the processes, which read the whole process table


class UseMeter:
    """Measures what the child processes of this process, and theirs, take of this host and of these GPUs of it."""

    def __init__(self, devices: Sequence[Device]):
        self._gpus = [device for device in devices if device.type == Device.Type.GPU]
        self._processes: list[psutil.Process] = []
        self._found = float("-inf")
        self._then = time.monotonic()
        self._before: dict[int, float] | None = None  # processor seconds by process id; None: the processes are new

    def measure(self) -> dict[str, Any]:
        """{cores, memory, devices}: the cores that are busy since the measurement before, and bytes."""
        now, memory = time.monotonic(), 0
        seconds: dict[int, float] = {}
        for process, spent, taken in self._measured(now):
            seconds[process.pid] = spent
            memory += taken
        before = dict.fromkeys(seconds, 0.0) if self._before is None else self._before
        busy = sum(spent - before[pid] for pid, spent in seconds.items() if pid in before)
        cores = round(max(0.0, busy) / max(now - self._then, 1e-3), 1)
        self._then, self._before = now, seconds
        return {"cores": cores, "memory": memory, "devices": list(self._devices())}

    def _measured(self, now: float) -> Iterator[tuple[psutil.Process, float, int]]:
        """(process, its processor time in seconds, its resident bytes) of each that still runs."""
        if now - self._found >= FIND_SECONDS:
            self._found = now
            self._processes = psutil.Process().children(recursive=True)
        for process in self._processes:
            with suppress(psutil.Error), process.oneshot():
                times = process.cpu_times()
                yield process, times.user + times.system, process.memory_info().rss

    def _devices(self) -> Iterator[dict[str, Any]]:
        for device in self._gpus:
            if use := gpu_use(device):
                taken = {"load": use.percent, "memory_used": use.memory_used, "memory": use.memory}
                yield {"device": device.label, **taken}
