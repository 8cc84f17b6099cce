"""The state of the whole server, for the admin's front page and the home page."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import Count
from django.utils import timezone
from django.utils.timesince import timesince
from redis.exceptions import RedisError

from digits_project.accounts.viewer import limited_user
from digits_project.jobs import disk_usage, quota
from digits_project.jobs.events.job_facts import progress_facts
from digits_project.jobs.models import ENDED, Device, DeviceRequest, Job, Status, job_classes
from digits_project.jobs.scheduling import queues
from digits_project.jobs.scheduling.device_choice import countable, why_unusable
from digits_project.jobs.scheduling.devices import gpu_use
from digits_project.jobs.visibility import find_visible, visible

MAX_WAITING = 50  # of each class of jobs
MAX_OWNERS = 20  # those with the most on disk
HIDDEN_HOLDER = "another user's job"
A_DAY, A_MINUTE = timedelta(days=1), timedelta(minutes=1)


class Place(NamedTuple):
    """A waiting job's position in its queue (from 1), and the reason why it waits."""

    position: int
    job: Job
    reason: str


class Queued(NamedTuple):
    """Why a job waits, and its position in its queue (from 1)."""

    position: int
    reason: str


class Outcome(NamedTuple):
    """The numbers of jobs that ended within a day, by status; `route` names their class, such as "models"."""

    route: str
    counts: list[tuple[str, int]]


def overview() -> dict:
    """Template context of the front page. `workers` is None if Redis can't be reached; the rest needs only
    PostgreSQL."""
    devices = list(Device.objects.all())
    workers = live_workers()
    return {
        "devices": [{"device": device, "use": gpu_use(device)} for device in devices],
        "holders": holders(devices),
        "unknown_holder": HIDDEN_HOLDER if limited_user() else "",
        "running": list(running()),
        "queue": [place for job_class in job_classes() for place in waiting(job_class, devices, workers)],
        "waiting": sum(visible(job_class).filter(status=Status.WAITING).count() for job_class in job_classes()),
        "workers": workers and [shown_worker(worker) for worker in workers],
        "disk": disk_usage.usage(),
        "owners": [] if limited_user() else quota.shares()[:MAX_OWNERS],
        "max_owner_bytes": settings.DIGITS_MAX_OWNER_DISK << 20,
        "outcomes": [_outcome(job_class) for job_class in job_classes()],
    }


def shown_worker(worker: queues.Listener) -> queues.Listener:
    """The worker, without its job id if the user may not see that job."""
    return worker if limited_user() is None or find_visible(worker.job_id) else worker._replace(job_id="")


def holders(devices: Sequence[Device]) -> dict[str, Job]:
    """{id: job} of the jobs that hold these devices, only those that the user may see."""
    leased = {device.leased_to for device in devices if device.leased_to}
    found = (
        visible(job_class).filter(pk__in=leased).only("job_id", "name", "status", "owner")
        for job_class in job_classes()
    )
    return {job.pk: job for jobs in found for job in jobs} if leased else {}


def waiting(
    job_class: type[Job], devices: Sequence[Device], workers: Sequence[queues.Listener] | None
) -> Iterator[Place]:
    """The first fifty waiting jobs of a kind in the order of the queue, with the reasons, without the jobs that the
    user may not see."""
    queued = list(job_class.queued()[:MAX_WAITING])
    places = list(enumerate(queued, 1))
    if limited_user():
        shown = set(visible(job_class).filter(pk__in=[job.pk for job in queued]).values_list("pk", flat=True))
        places = [(position, job) for position, job in places if job.pk in shown]
    for position, job in places:
        yield Place(position, job, _reason(job, devices, workers))


def queued(job: Job) -> Queued | None:
    """The place of a job in its queue; None if it does not wait."""
    if job.status != Status.WAITING:
        return None
    order = list(type(job).queued().values_list("pk", flat=True))
    waits = job.pk in order  # it can have started meanwhile
    return Queued(order.index(job.pk) + 1, waiting_reason(job)) if waits else None


def live_workers() -> list[queues.Listener] | None:
    """The workers that are alive; None if Redis can't be reached."""
    try:
        return queues.workers()
    except RedisError:
        return None


def seconds_left(job: Job) -> float | None:
    """The estimated remaining seconds of a running job, by its speed since it last started or resumed; None if it does
    not run, or has just started."""
    if job.status != Status.RUNNING or not job.started_at:
        return None
    return progress_facts(job)["seconds_left"]


def waiting_reason(job: Job) -> str:
    """Why a waiting job does not run yet; "" for any other job."""
    if job.status != Status.WAITING:
        return ""
    return _reason(job, list(Device.objects.all()), live_workers())


def lacking_devices() -> dict[str, list[Job]]:
    """The waiting jobs that no device of this server suits, whether its worker is alive or not, by the reason."""
    enabled = list(Device.objects.filter(enabled=True))
    found: dict[str, list[Job]] = {}
    for job_class in job_classes() if enabled else ():
        for job in job_class.queued()[:MAX_WAITING] if job_class.QUEUE == "train" else ():
            if reason := _lacking(job.device_request(), enabled):
                found.setdefault(reason, []).append(job)
    return found


def _reason(job: Job, devices: Sequence[Device], workers: Sequence[queues.Listener] | None) -> str:
    if need := job.waits_for():
        return f"waiting for {need}"
    if workers is None:
        return "Redis can't be reached"
    hosts = {queue.removeprefix("train-") for worker in workers for queue in worker.queues}
    if job.QUEUE != "train":
        return "waiting for a worker" if job.QUEUE in hosts else "waiting for a worker: none for datasets is alive"
    within_reach = [device for device in devices if device.host in hosts]
    if any(device.leased_to == job.pk for device in within_reach):
        return "waiting for a worker"
    if not within_reach:
        return "waiting for a worker: none for training is alive"
    if not any(device.enabled for device in within_reach):
        return "every device is switched off"
    wanted, enabled = job.device_request(), [device for device in within_reach if device.enabled]
    if lacking := _lacking(wanted, enabled):
        return lacking
    if wanted.indexes:
        return f"waiting for GPU {', '.join(map(str, wanted.indexes))}"
    return _wanted_devices(wanted, enabled)


def _lacking(wanted: DeviceRequest, enabled: Sequence[Device]) -> str:
    """What no host has that the job needs, with what its workers report; "" if a device suits it."""
    if any(device.suits(wanted) for device in enabled):
        return ""
    if missing := [name for name in wanted.weights if not any(device.has(name) for device in enabled)]:
        return f"waiting for a host that has the weights {' and '.join(missing)}; see manage.py doctor there"
    why = why_unusable(enabled, wanted) if any(any(device.obstacles(wanted.engines)) for device in enabled) else ""
    then = " Restart the train worker of that host afterwards." if why else ""
    return f"waiting for a device that {' or '.join(wanted.engines)} can use{':' if why else ''}{why}{then}"


def _wanted_devices(wanted: DeviceRequest, enabled: Sequence[Device]) -> str:
    """So many devices, as DevicePool counts them: without a GPU a job gets the CPUs that there are."""
    are_gpus = any(device.type == Device.Type.GPU for device in enabled)
    what = "GPU" if are_gpus else "device"
    count = wanted.count if are_gpus else min(wanted.count, len(countable(enabled)))
    if count <= 1:
        return f"waiting for a {what}"
    return f"waiting for {count} {what}s" + ("" if wanted.spanning else " of one host")


def running() -> Iterator[Job]:
    """The running jobs that the user may see, of each class those that began first."""
    for job_class in job_classes():
        yield from (
            visible(job_class)
            .filter(status=Status.RUNNING)
            .only(*job_class.LISTED)
            .order_by("started_at")[:MAX_WAITING]
        )


def _outcome(job_class: type[Job]) -> Outcome:
    ended = visible(job_class).filter(ended_at__gte=timezone.now() - A_DAY, status__in=ENDED).order_by("status")
    counts = dict(ended.values_list("status").annotate(Count("pk")))
    return Outcome(job_class.ROUTE, [(status.label, counts.get(status, 0)) for status in ENDED])


def time_left(job: Job) -> str:
    """The estimated remaining time of a job; "" if it does not run, or has just started."""
    seconds = seconds_left(job)
    if seconds is None:
        return ""
    left = timedelta(seconds=seconds)
    shown = f"{seconds:.0f} s" if left < A_MINUTE else timesince(timezone.now() - left, depth=2)
    return f"about {shown} left"
