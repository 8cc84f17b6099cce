"""The free devices, which a dispatcher leases to jobs."""

from collections.abc import Mapping
from dataclasses import replace

from digits_project.jobs.models import Device, DeviceRequest, Job
from digits_project.jobs.scheduling.device_choice import (
    countable,
    fitting,
    hosts_in_order,
    on_one_host,
    on_several_hosts,
)
from digits_project.jobs.scheduling.queues import train_queue


class DevicePool:
    """The free devices of hosts with a listening worker, which a dispatcher leases inside its transaction.

    workers: {queue: number of listening workers}.

    SKIP LOCKED: rows that another process is leasing, or that an operator edits, are skipped.
    """

    def __init__(self, workers: Mapping[str, int]):
        self._workers = workers
        hosts = [name.removeprefix("train-") for name in workers if name.startswith("train-")]
        # Devices that no engine can use are left out, so that they do not make the pool look filled.
        enabled = Device.objects.filter(enabled=True, host__in=hosts).exclude(engines=[])
        ordered = enabled.order_by("-type", "index", "host")
        self._enabled = list(ordered)
        self._countable = countable(self._enabled)
        self._free = list(ordered.select_for_update(skip_locked=True).filter(leased_to=""))
        self._jobs: dict[str, set[str]] = {}  # the ids of the jobs of each host
        for host, job_id in Device.objects.exclude(leased_to="").values_list("host", "leased_to"):
            self._jobs.setdefault(host, set()).add(job_id)

    @property
    def is_empty(self) -> bool:
        return not self._free

    def lease(self, job: Job) -> list[Device]:
        """Lease `job` all the devices that it requests, for one engine that can use all of them, on one host or, if no
        host has enough, on several; or none. The first device is on the host that runs the job. Devices that the job
        then waits for are kept from the jobs behind it, so that jobs for one GPU don't starve a job for several."""
        wanted = self._attainable(job.device_request())
        found = self._find(wanted)
        for device in found:
            device.leased_to = job.pk
            device.save(update_fields=["leased_to"])
            self._jobs.setdefault(device.host, set()).add(job.pk)
        taken = found or self._reserved(wanted)
        self._free = [device for device in self._free if device not in taken]
        return found

    def _attainable(self, wanted: DeviceRequest) -> DeviceRequest:
        """The request, for as many devices as there are if it accepts fewer, as it does of CPUs."""
        of_cpus = all(device.type == Device.Type.CPU for device in self._countable)
        if wanted.indexes or not (wanted.accepts_fewer or of_cpus):
            return wanted
        groups = (*on_one_host(wanted, self._countable), *on_several_hosts(wanted, self._countable))
        return replace(wanted, count=min(wanted.count, max(map(len, groups), default=wanted.count)))

    def _find(self, wanted: DeviceRequest) -> list[Device]:
        usable = [device for device in self._free if device.suits(wanted) and not self._is_kept(device.host)]
        if wanted.is_any_device:
            return usable[:1]  # a GPU, else a CPU
        counted = [device for device in usable if device in self._countable]
        groups = list(on_one_host(wanted, counted))
        if not self._fits_one_host(wanted):
            served = (device for device in counted if self._has_free_worker(device.host))
            groups += on_several_hosts(wanted, served)
        if found := next(filter(None, (fitting(wanted, group) for group in groups)), []):
            return [device for members in hosts_in_order(found) for device in members]
        # Without any GPU, a request for a number of GPUs gets the CPU, so that scripts work on every server.
        without_gpus = not wanted.indexes and not any(on_one_host(wanted, self._countable))
        return usable[:1] if without_gpus else []

    def _reserved(self, wanted: DeviceRequest) -> list[Device]:
        groups = on_one_host if self._fits_one_host(wanted) else on_several_hosts
        group = next((group for group in groups(wanted, self._countable) if fitting(wanted, group)), [])
        return fitting(wanted, group) if wanted.indexes else group

    def _fits_one_host(self, wanted: DeviceRequest) -> bool:
        """Whether one host would have the devices if all were free. A job for such a number waits for that host,
        because the network between hosts is slower than a host's own."""
        return any(fitting(wanted, group) for group in on_one_host(wanted, self._countable))

    def _is_kept(self, host: str) -> bool:
        """Whether the host's workers are all needed by its jobs, one of which runs on several hosts. A job in front of
        that one in the queue would make the other hosts wait for hours."""
        jobs = self._jobs.get(host, set())
        elsewhere = {job_id for other, leased in self._jobs.items() if other != host for job_id in leased}
        return bool(jobs & elsewhere) and not self._has_free_worker(host)

    def _has_free_worker(self, host: str) -> bool:
        """Whether the host has more workers than jobs. Each host of a job needs one at the same time, so jobs that
        share several hosts would otherwise wait for each other."""
        return len(self._jobs.get(host, ())) < self._workers.get(train_queue(host), 0)
