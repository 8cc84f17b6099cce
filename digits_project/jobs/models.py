"""The abstract Job, and devices. Job has no table: each dataset or model is its own job, one row with one status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Case, F, Q, When
from django.urls import reverse

from digits_project.common.job_ids import is_job_id
from digits_project.jobs.owner_turns import in_turn

if TYPE_CHECKING:
    from digits_project.jobs.scheduling.job_engine import JobEngine


class Status(models.TextChoices):
    """The statuses of a job, with DIGITS's names, in order."""

    INITIALIZED = "Initialized"
    WAITING = "Waiting"
    RUNNING = "Running"
    DONE = "Done"
    ABORTED = "Aborted"
    ERROR = "Error"


ENDED = (Status.DONE, Status.ABORTED, Status.ERROR)
MAX_GROUP_NAME = 255
RESUMED = "Resumed."  # the note of a resume in status_history
# Of lists, with an index of each table: running jobs first, then the newest. By the ID, two pages never name one job.
LIST_ORDER = (Case(When(status=Status.RUNNING.value, then=0), default=1), F("created_at").desc(), F("job_id"))


@dataclass(frozen=True)
class DeviceRequest:
    """A request for GPUs: those with the numbers `indexes` of one host, or without numbers any `count` of them.

    `engines` are the names of the engines that can do the job, the preferred one first; () if any device will do.
    `weights` are the names of the installed weights that the job reads on the device's host. `spanning` are the names
    of the engines among them that can compute on devices of several hosts together; () if the job needs one host.
    `accepts_fewer`: as many as there are will do, if there are fewer than `count`.
    """

    indexes: tuple[int, ...] = ()
    count: int = 1
    engines: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    spanning: tuple[str, ...] = ()
    accepts_fewer: bool = False

    @property
    def is_any_device(self) -> bool:
        """Whether any one GPU or CPU is enough."""
        return not self.indexes and self.count == 1


class Job(models.Model):
    """A piece of work for a worker, with its state. Only `lifecycle` writes the status."""

    QUEUE: str  # its queue: "io", or "train" for jobs that need a device
    TASK: str  # dotted path of the function that the worker calls with the job's id
    JOIN_TASK = ""  # the same for workers of further hosts, with id and attempt; "": the job can use one host only
    ROUTE: str  # "datasets", "models", "evaluations", "pretrained_models" or "searches", as in the routes
    # The columns that lists show; other columns can hold megabytes.
    LISTED: tuple[str, ...] = (
        *("job_id", "name", "owner", "priority", "status", "progress"),
        *("created_at", "started_at", "ended_at"),
    )
    IN_INDEX = True  # whether the list of all jobs has it
    PART_OF = ""  # the relation to its parent job, which decides who may see this one
    PATHS: tuple[str, ...] = ()  # columns that hold paths of the server
    FILLS_DISK = True  # whether its folder can grow large
    MILESTONE = "reaching its end"  # a lost process counts only if the job did not reach this
    REQUESTS: tuple[str, ...] = ()  # columns of users' requests that its process looks at while it runs
    RESET_BY_RESUME: Mapping[str, Any] = {"lost_processes": 0}  # columns when a user resumes it

    job_id = models.CharField(primary_key=True, max_length=20, editable=False)
    name = models.CharField(max_length=255)
    notes = models.TextField(blank=True)
    owner = models.CharField(max_length=150, blank=True)
    group_name = models.CharField(max_length=MAX_GROUP_NAME, blank=True, help_text="Lists show its jobs together.")
    priority = models.SmallIntegerField(default=0, help_text="Jobs with a higher priority run first.")
    status = models.CharField(max_length=11, choices=Status, default=Status.INITIALIZED, editable=False)
    # [status, ISO time] of every change, or [status, ISO time, why].
    status_history = models.JSONField(default=list, editable=False)
    progress = models.FloatField(
        default=0, editable=False, validators=[MinValueValidator(0), MaxValueValidator(1)], help_text="0 to 1"
    )
    error = models.TextField(blank=True, editable=False)
    worker = models.CharField(max_length=300, blank=True, editable=False)  # str() of the Process that runs it
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, editable=False)
    abort_requested_at = models.DateTimeField(null=True, editable=False)
    lost_processes = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="How many processes the job has lost since it last made progress."
    )

    shared_with = models.ManyToManyField(
        Group,
        blank=True,
        related_name="+",
        help_text="Groups whose members can also see the job on a private server (DIGITS_PRIVATE).",
    )
    disk_bytes = models.BigIntegerField(
        null=True, editable=False, help_text="Bytes in the job's folder; empty: not measured yet."
    )

    objects = models.Manager()  # Django adds the same; written out for mypy, which finds none in an abstract model

    class Meta:
        abstract = True
        indexes = [
            models.Index(fields=["status", "-priority", "created_at"], name="%(class)s_queue"),
            models.Index(*LIST_ORDER, name="%(class)s_list"),
        ]
        ordering = ["-created_at"]

    def __str__(self):
        return f"{self._meta.verbose_name} {self.job_id} ({self.name})"

    def get_absolute_url(self, suffix: str = "") -> str:
        """The URL of its page, or with the suffix ".json" of its JSON. The admin uses this Django method too."""
        return reverse(f"{self.ROUTE}-detail", args=[self.pk]) + suffix

    @property
    def TYPE(self) -> str:
        """DIGITS's name for it, as in /status."""
        raise NotImplementedError

    @property
    def directory(self) -> Path:
        """The job's folder."""
        return settings.DIGITS_JOBS_DIR / self.job_id

    def folders(self) -> list[Path]:
        """The folders that are deleted with the job."""
        return [self.directory]

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def has_run(self) -> bool:
        """Whether a process has run the job before, or runs it."""
        return any(status == Status.RUNNING for status, *_ in self.status_history)

    @property
    def attempt(self) -> int:
        """A number that grows with each change of status, so that it names an attempt while the job runs."""
        return len(self.status_history)

    @classmethod
    def ready(cls) -> models.QuerySet:
        """The waiting jobs that need only a worker and a device, in the order in which they run."""
        return in_turn(cls.objects.filter(status=Status.WAITING), cls.objects.all(), Q(status=Status.RUNNING))

    @classmethod
    def queued(cls) -> models.QuerySet:
        """All waiting jobs, in the order in which they run, with the columns that `waits_for` reads."""
        waiting = cls.objects.filter(status=Status.WAITING)
        return in_turn(waiting, cls.objects.all(), Q(status=Status.RUNNING)).only(*cls.LISTED)

    @classmethod
    def unrunnable(cls) -> list[tuple["Job", str]]:
        """The waiting jobs that can never run, each with the reason."""
        return []

    @classmethod
    def engines(cls) -> "Sequence[JobEngine]":
        """The engines that can run jobs of this class, the preferred first."""
        return ()

    @classmethod
    def installed_weights(cls) -> Sequence[str]:
        """The names of the weights that jobs of this class can read on this host, without those of other jobs."""
        return ()

    def waits_for(self) -> str:
        """The reason why the job can't run yet, apart from a worker and a device, such as its dataset; "" if none."""
        return ""

    def device_request(self) -> DeviceRequest:
        """The GPUs that the job requests, if it needs a device."""
        return DeviceRequest()

    def milestones(self, after: int = 0) -> Sequence[str]:
        """What commands report of a job as it runs, such as its epochs, without the first `after` of them."""
        return ()

    def clear_away(self) -> None:
        """Remove the incomplete files of a process that died."""

    def dependents(self) -> list["Job"]:
        """The jobs that depend on this one. While there are any, it can't be deleted."""
        return []

    def parts(self) -> list["Job"]:
        """The jobs that are deleted with this one."""
        return []

    def started_jobs(self) -> list["Job"]:
        """The jobs that this one has started and that have not ended. They are aborted with it."""
        return []


J = TypeVar("J", bound=Job)


def job_classes() -> list[type[Job]]:
    """The subclasses of Job in the installed apps: Dataset, TrainedModel, Evaluation, PretrainedModel and Search."""
    return [model for model in apps.get_models() if issubclass(model, Job)]


@overload
def find_job(job_id: object, job_class: type[J]) -> J | None: ...
@overload
def find_job(job_id: object, job_class: None = None) -> Job | None: ...
def find_job(job_id: object, job_class: type[Job] | None = None) -> Job | None:
    """The job with that id, of that class or of any (None); None if there is none or the value is not an id."""
    if not is_job_id(job_id):
        return None
    found = (one.objects.filter(pk=job_id).first() for one in ([job_class] if job_class else job_classes()))
    return next((job for job in found if job), None)


class Device(models.Model):
    """A GPU, or the CPU, of a host. One training at a time can hold it."""

    class Type(models.TextChoices):
        CPU = "cpu", "CPU"
        GPU = "gpu", "GPU"

    host = models.CharField(max_length=255)
    type = models.CharField(max_length=3, choices=Type)
    index = models.PositiveSmallIntegerField(default=0, help_text="The GPU's number on its host; 0 for the CPU.")
    model_name = models.CharField(max_length=200, blank=True)
    memory = models.BigIntegerField(default=0, help_text="Bytes.")
    compute_capability = models.CharField(max_length=8, blank=True)
    engines = models.JSONField(
        null=True, blank=True, help_text="The engines that can use the device; empty: its host has not reported them."
    )
    # Of each engine its title, its version there, and why it can't use the device: {"torch": {"title": …, "version": …,
    # "obstacle": …}}.
    engine_reports = models.JSONField(default=dict, blank=True, editable=False)
    weights = models.JSONField(
        null=True, blank=True, help_text="The weights installed on its host; empty: its host has not reported them."
    )
    enabled = models.BooleanField(
        default=True, help_text="Off: no new job gets the device; the job that holds it continues."
    )
    leased_to = models.CharField(max_length=20, blank=True, db_index=True, editable=False)  # a job's id

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "type", "index"], name="device_once")]
        ordering = ["host", "-type", "index"]

    def __str__(self):
        return f"{self.label} of {self.host}"

    @property
    def label(self) -> str:
        """The engine's name of the device: cpu, cpu1, …, gpu0, gpu1, …"""
        return "cpu" if self.type == self.Type.CPU and not self.index else f"{self.type}{self.index}"

    def runs(self, engine: str) -> bool:
        """Whether an engine can use the device; True as long as its host has not reported which engines can."""
        return self.engines is None or engine in self.engines

    def obstacles(self, engines: Sequence[str]) -> list[str]:
        """Why engines can't use the device, one text for each that can't, as its host reported."""
        return [self.engine_reports.get(name, {}).get("obstacle", "") for name in engines if not self.runs(name)]

    @property
    def reported_engines(self) -> list[tuple[str, str]]:
        """(title and version, why it can't use the device or "") of each engine, as its host reported."""
        reports = self.engine_reports.values()
        return [(f"{report['title']} {report['version']}".strip(), report["obstacle"]) for report in reports]

    def has(self, weights: str) -> bool:
        """Whether its host has these weights; True as long as the host has not reported which it has."""
        return self.weights is None or weights in self.weights

    def suits(self, wanted: DeviceRequest) -> bool:
        """Whether an engine of the request can use the device, and its host has the weights."""
        return all(map(self.has, wanted.weights)) and (not wanted.engines or any(map(self.runs, wanted.engines)))

    @property
    def queue_name(self) -> str:
        """The RQ queue of the train workers on its host."""
        return f"train-{self.host}"
