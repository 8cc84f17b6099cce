"""The resources of /api/v1 about the server: its queue, devices, workers and disk."""

from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from digits_project.accounts.viewer import without_paths
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.common.errors import BadInput
from digits_project.jobs import disk_usage, overview
from digits_project.jobs.models import Device, Status, job_classes
from digits_project.jobs.scheduling.devices import gpu_use
from digits_project.jobs.visibility import visible


class WaitingJob(serializers.Serializer):
    """A waiting job."""

    position = serializers.IntegerField(help_text="In the queue of its class, from 1.")
    id = serializers.CharField()
    name = serializers.CharField()
    owner = serializers.CharField(allow_blank=True)
    priority = serializers.IntegerField()
    reason = serializers.CharField(help_text="Why it waits.")


class QueueOfClass(serializers.Serializer):
    """The waiting jobs of a class, in the order in which they run, at most fifty."""

    jobs_of = serializers.CharField(help_text="The class, as in routes: datasets, models, evaluations, searches.")
    waiting = serializers.IntegerField(help_text="How many wait.")
    jobs = WaitingJob(many=True)


@extend_schema_serializer(many=False)
class QueueList(serializers.Serializer):
    """The queues of all classes."""

    queues = QueueOfClass(many=True)


class DeviceEngine(serializers.Serializer):
    """An engine on a device."""

    name = serializers.CharField()
    title = serializers.CharField()
    version = serializers.CharField(allow_blank=True)
    obstacle = serializers.CharField(allow_blank=True, help_text="Why it can't use the device; empty if it can.")


class DeviceHolder(serializers.Serializer):
    """The job that holds a device."""

    id = serializers.CharField(allow_null=True, help_text="Null if the user may not see the job.")
    name = serializers.CharField()


class DeviceFacts(serializers.Serializer):
    """A GPU, or the CPU, of a host."""

    id = serializers.IntegerField(source="pk")
    host = serializers.CharField()
    device = serializers.CharField(source="label", help_text="Such as cpu or gpu0.")
    model_name = serializers.CharField(allow_blank=True)
    memory = serializers.IntegerField(help_text="Bytes; 0: not known.")
    compute_capability = serializers.CharField(allow_blank=True)
    enabled = serializers.BooleanField(help_text="Whether new jobs get it.")
    engines = serializers.SerializerMethodField()
    job = serializers.SerializerMethodField(help_text="The job that holds it; null if it is free.")
    load = serializers.SerializerMethodField(help_text="Percent; null for a CPU, and on another host.")
    memory_used = serializers.SerializerMethodField(help_text="Bytes; null as load is.")

    @extend_schema_field(DeviceEngine(many=True))
    def get_engines(self, device):
        return [
            {"name": name, **{part: report.get(part, "") for part in ("title", "version", "obstacle")}}
            for name, report in device.engine_reports.items()
        ]

    @extend_schema_field(DeviceHolder(allow_null=True))
    def get_job(self, device):
        if not device.leased_to:
            return None
        job = self.context["holders"].get(device.leased_to)
        return {"id": job.pk, "name": job.name} if job else {"id": None, "name": overview.HIDDEN_HOLDER}

    def get_load(self, device) -> int | None:
        use = gpu_use(device)
        return use and use.percent

    def get_memory_used(self, device) -> int | None:
        use = gpu_use(device)
        return use and use.memory_used


@extend_schema_serializer(many=False)
class DeviceList(serializers.Serializer):
    """The devices of all hosts."""

    devices = DeviceFacts(many=True)


class WorkerFacts(serializers.Serializer):
    """A worker that is alive."""

    name = serializers.CharField()
    host = serializers.CharField()
    queues = serializers.ListField(child=serializers.CharField())
    state = serializers.CharField()
    job_id = serializers.CharField(allow_blank=True, help_text="Empty: none, or one that the user may not see.")
    seen = serializers.DateTimeField(allow_null=True, help_text="Its last heartbeat.")


@extend_schema_serializer(many=False)
class WorkerList(serializers.Serializer):
    """The workers of all hosts."""

    workers = WorkerFacts(many=True, allow_null=True, help_text="Null: Redis can't be reached.")


class DiskFacts(serializers.Serializer):
    """The file system of the jobs' folders, in bytes."""

    total = serializers.IntegerField()
    free = serializers.IntegerField()
    jobs = serializers.IntegerField(allow_null=True, help_text="What the jobs take; null until it was measured.")


class ServerViewSet(ViewSet):
    """The state of the server."""

    renderer_classes = (PrettyJSONRenderer,)

    @extend_schema(responses={200: QueueList})
    def queue(self, request):
        """The waiting jobs of each class, in the order in which they run, and why each waits."""
        devices, workers = list(Device.objects.all()), overview.live_workers()
        found = []
        for job_class in job_classes():
            places = overview.waiting(job_class, devices, workers)
            jobs = [_waiting_json(place) for place in places]
            count = visible(job_class).filter(status=Status.WAITING).count()
            found.append({"jobs_of": job_class.ROUTE, "waiting": count, "jobs": jobs})
        return Response({"queues": without_paths(found)})

    @extend_schema(responses={200: DeviceList})
    def devices(self, request):
        """The devices of all hosts, the engines that can use them, and the jobs that hold them."""
        devices = list(Device.objects.all())
        facts = DeviceFacts(devices, many=True, context={"holders": overview.holders(devices)}).data
        return Response({"devices": without_paths(facts)})

    @extend_schema(responses={200: WorkerList})
    def workers(self, request):
        """The workers that are alive, and what they do."""
        alive = overview.live_workers()
        if alive is None:
            return Response({"workers": None})
        shown = [overview.shown_worker(worker)._asdict() for worker in alive]
        return Response({"workers": WorkerFacts(shown, many=True).data})

    @extend_schema(responses={200: DiskFacts})
    def disk(self, request):
        """The disk on which the jobs' folders are."""
        usage = disk_usage.usage()
        if usage is None:
            raise BadInput("There is no folder of jobs yet.")
        return Response(usage._asdict())


def _waiting_json(place: overview.Place) -> dict:
    job = place.job
    about = {"id": job.pk, "name": job.name, "owner": job.owner, "priority": job.priority}
    return {"position": place.position, **about, "reason": place.reason}
