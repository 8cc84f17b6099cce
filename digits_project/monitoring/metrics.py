"""`/metrics` for Prometheus: jobs, devices, workers, and the time that inference takes.

Values from PostgreSQL are counted on each request, so every web process returns the same. What web processes count
themselves is in memory that those of a host share.
"""

from collections.abc import Iterator, Mapping

from django.conf import settings
from django.db.models import Count, F, Sum
from django.http import HttpResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from redis.exceptions import RedisError
from rest_framework.views import APIView

from digits_project.accounts.roles import Role
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.common.onnx_runtime import PROVIDERS
from digits_project.common.shared_memory.web_processes import shared
from digits_project.jobs.models import ENDED, Device, Status, job_classes
from digits_project.jobs.scheduling import queues
from digits_project.monitoring.shared_metrics import SharedCounter, SharedHistogram

REGISTRY = CollectorRegistry()
INFERENCE_SECONDS = SharedHistogram(
    "digits_inference_seconds",
    "Seconds from a request to a trained model until its response.",
    "route",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 300),
)
LOADED_SNAPSHOTS = SharedCounter(
    "digits_loaded_snapshots",
    "Snapshots that were loaded for inference, by what runs them: cpu, cuda, tensorrt or openvino.",
    "provider",
)
LOADED_SNAPSHOTS.declare(("cpu", *PROVIDERS))
REGISTRY.register(INFERENCE_SECONDS)
REGISTRY.register(LOADED_SNAPSHOTS)


class Rows:
    """Collects jobs, devices and workers on each request of Prometheus."""

    def collect(self) -> Iterator[Metric]:
        yield from _jobs()
        yield from _ended()
        yield _devices()
        yield _workers()
        yield GaugeMetricFamily("digits_web_processes", "Web processes of this host.", shared().living)


REGISTRY.register(Rows())


class Metrics(APIView):
    """The server in numbers, in the text format of Prometheus."""

    renderer_classes = (PrettyJSONRenderer,)
    schema = None  # not JSON, and not for clients of the API

    @property
    def reading_role(self) -> Role:
        """On a private server only operators may see the numbers, because they count all jobs."""
        return Role.OPERATOR if settings.DIGITS_PRIVATE else Role.VIEWER

    def get(self, request):
        return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def _jobs() -> Iterator[Metric]:
    jobs = GaugeMetricFamily("digits_jobs", "Jobs by status.", labels=["kind", "status"])
    queue = GaugeMetricFamily("digits_queue_depth", "Jobs that wait.", labels=["kind"])
    for job_class in job_classes():
        counted = dict(job_class.objects.order_by().values_list("status").annotate(Count("pk")))
        for status in Status.values:
            jobs.add_metric([job_class.ROUTE, status], counted.get(status, 0))
        queue.add_metric([job_class.ROUTE], counted.get(Status.WAITING, 0))
    yield jobs
    yield queue


def _ended() -> Iterator[Metric]:
    """Metrics of ended jobs. Deleted jobs are not counted."""
    seconds = GaugeMetricFamily("digits_job_seconds_sum", "Seconds that ended jobs ran.", labels=["kind", "status"])
    count = GaugeMetricFamily("digits_job_seconds_count", "Ended jobs that ran.", labels=["kind", "status"])
    for job_class in job_classes():
        ran = job_class.objects.filter(status__in=ENDED, started_at__isnull=False, ended_at__isnull=False).order_by()
        took = ran.values("status").annotate(total=Sum(F("ended_at") - F("started_at")), number=Count("pk"))
        for status, total, number in took.values_list("status", "total", "number"):
            seconds.add_metric([job_class.ROUTE, status], total.total_seconds())
            count.add_metric([job_class.ROUTE, status], number)
    yield seconds
    yield count


def _devices() -> Metric:
    devices = GaugeMetricFamily("digits_devices", "Devices by state.", labels=["host", "type", "state"])
    states = {
        (host, kind, state): 0
        for host, kind in Device.objects.values_list("host", "type")
        for state in ("busy", "free", "off")
    }
    for device in Device.objects.all():
        state = "busy" if device.leased_to else "free" if device.enabled else "off"
        states[device.host, device.type, state] += 1
    for labels, number in states.items():
        devices.add_metric(labels, number)
    return devices


def _workers() -> Metric:
    """The number of live workers; NaN if Redis can't be reached."""
    workers = GaugeMetricFamily("digits_workers", "Workers that listen on a queue.", labels=["queue"])
    try:
        alive: Mapping[str, float] = queues.live_workers()
    except RedisError:
        alive = {"io": float("nan")}
    for queue, number in alive.items():
        workers.add_metric([queue], number)
    return workers
