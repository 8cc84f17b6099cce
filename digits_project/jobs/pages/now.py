"""What runs and what waits, for the home page."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from digits_project.accounts import usernames
from digits_project.jobs.models import Device, Job, Status, job_classes
from digits_project.jobs.overview import Place, holders, live_workers, running, time_left, waiting
from digits_project.jobs.pages.listings import listing_of
from digits_project.jobs.visibility import visible

MAX_SHOWN = 5  # waiting jobs, besides the user's own first


class RunningJob(NamedTuple):
    """A running job, the time it still needs, its devices, and the course of its loss."""

    job: Job
    left: str
    devices: str
    curve: Sequence[float]


def now(request) -> dict[str, Any]:
    """The template context: running jobs, devices, and the queue with the user's place in it."""
    devices = list(Device.objects.all())
    waiting_jobs, places = _queue(devices)
    mine = usernames.owner(request)
    own = [place for place in places if mine and place.job.owner == mine]
    return {
        "running": _running(devices),
        "devices": devices,
        "holders": holders(devices),
        "free": sum(device.enabled and not device.leased_to for device in devices),
        "waiting": waiting_jobs,
        "queue": places[:MAX_SHOWN],
        "own": own[0] if own and own[0] not in places[:MAX_SHOWN] else None,
    }


def _running(devices: Sequence[Device]) -> list[RunningJob]:
    jobs = list(running())
    held: dict[str, list[str]] = {}
    for device in devices:
        held.setdefault(device.leased_to, []).append(device.label)
    curves: dict[str, Sequence[float]] = {}
    for job_class in {type(job) for job in jobs}:
        curves |= listing_of(job_class).curves([job for job in jobs if isinstance(job, job_class)])
    return [RunningJob(job, time_left(job), ", ".join(held.get(job.pk, [])), curves.get(job.pk, ())) for job in jobs]


def _queue(devices: Sequence[Device]) -> tuple[int, list[Place]]:
    """How many jobs of all kinds wait, and the first of each kind, each with its place among those of its kind."""
    counts = {each: visible(each).filter(status=Status.WAITING).count() for each in job_classes()}
    waits = [job_class for job_class, count in counts.items() if count]
    workers = live_workers() if waits else []
    places = [place for job_class in waits for place in waiting(job_class, devices, workers)]
    return sum(counts.values()), places
