"""Models as resources of /api/v1."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action

from datasets.models import Dataset
from digits_project.accounts import permissions
from digits_project.accounts.roles import Role
from digits_project.api.openapi import errors
from digits_project.jobs import disk_usage
from digits_project.jobs.api.job_resources import (
    EVERY_CLASS,
    JobDetails,
    JobResource,
    ResourceFilter,
    ResourceViewSet,
    details_of,
    page_of,
)
from digits_project.jobs.api.job_responses import ACTED, acted
from digits_project.jobs.api.views import fetch
from digits_project.jobs.models import Status
from digits_project.jobs.visibility import visible
from models_app import services
from models_app.api.model_responses import ModelFacts, epoch_json
from models_app.api.resources.form_values import form_values
from models_app.models import TrainedModel
from models_app.results import BEST, NEWEST, Evaluation, Snapshot, Which, best_accuracy, validated

MAX_SNAPSHOTS = 200  # of a response, the newest


class DatasetOfModel(serializers.Serializer):
    """The dataset of a model."""

    id = serializers.CharField()
    name = serializers.CharField(allow_null=True, help_text="Null if the user may not see the dataset.")


class UseOfDevice(serializers.Serializer):
    """A GPU that a training holds."""

    device = serializers.CharField(help_text="Such as gpu0.")
    load = serializers.IntegerField(help_text="Percent.")
    memory_used = serializers.IntegerField(help_text="Bytes.")
    memory = serializers.IntegerField(help_text="Bytes.")


class UseNow(serializers.Serializer):
    """What a training takes at the moment, on the host that runs it."""

    images_per_second = serializers.FloatField()
    cores = serializers.FloatField(help_text="Processor cores that its processes keep busy.")
    memory = serializers.IntegerField(help_text="Bytes that its processes take.")
    devices = UseOfDevice(many=True, help_text="Empty for a training on the CPU.")


class ModelResource(JobResource):
    """A model in a list."""

    COLUMNS = (
        *JobResource.COLUMNS,
        *("kind", "method", "standard_network", "dataset", "train_epochs", "engine", "engine_used", "devices_used"),
        *("precision_used", "images_per_second", "resumed_from", "stopped_epoch", "recipe_used", "search", "trial"),
        *("stop_requested_at", "device_use"),
    )

    kind = serializers.CharField(help_text="classification or generic.")
    network = serializers.SerializerMethodField(help_text="The standard network, or how the network was given.")
    dataset = serializers.SerializerMethodField()
    accuracy = serializers.SerializerMethodField(help_text="The highest in validation, 0 to 1; null without one.")
    train_epochs = serializers.FloatField()
    snapshot_count = serializers.SerializerMethodField()
    recipe_used = serializers.CharField(allow_blank=True)
    engine_used = serializers.CharField(allow_blank=True)
    devices_used = serializers.CharField(allow_blank=True)
    precision_used = serializers.CharField(allow_blank=True)
    images_per_second = serializers.FloatField(allow_null=True)
    stopped_epoch = serializers.FloatField(allow_null=True)
    stop_requested_at = serializers.DateTimeField(
        allow_null=True, help_text="When a user asked to end the training early; null: nobody has."
    )
    device_use = serializers.SerializerMethodField(help_text="Null if the model does not train now.")
    search_id = serializers.CharField(allow_null=True, help_text="The search of which it is a trial.")
    trial = serializers.IntegerField(allow_null=True)

    def get_accuracy(self, model) -> float | None:
        return self.context["accuracy"] if "accuracy" in self.context else model.accuracy  # noqa: SIM401 (only one is there)

    def get_network(self, model) -> str:
        return model.standard_network or model.method

    def get_snapshot_count(self, model) -> int:
        return self.context["snapshot_counts"].get(model.pk, 0)

    @extend_schema_field(UseNow(allow_null=True))
    def get_device_use(self, model):
        return model.device_use or None if model.status == Status.RUNNING else None

    @extend_schema_field(DatasetOfModel)
    def get_dataset(self, model):
        return {"id": model.dataset_id, "name": self.context["dataset_names"].get(model.dataset_id)}


class SnapshotFacts(serializers.Serializer):
    """A snapshot of a model."""

    epoch = serializers.FloatField()
    created_at = serializers.DateTimeField()
    accuracy = serializers.FloatField(allow_null=True, help_text="Of its validation, 0 to 1; null without one.")
    loss = serializers.FloatField(allow_null=True)
    bytes = serializers.IntegerField(help_text="On disk.")
    best = serializers.BooleanField()
    latest = serializers.BooleanField()
    default = serializers.BooleanField(help_text="Whether it answers if none is named.")
    keep = serializers.BooleanField(help_text="Whether it is never deleted automatically.")


class EvaluationOfModel(serializers.Serializer):
    """An evaluation of a model."""

    id = serializers.CharField(source="pk")
    snapshot_epoch = serializers.FloatField(source="epoch")
    split = serializers.ChoiceField(Evaluation.Split.values)
    status = serializers.ChoiceField(Status.choices)
    accuracy = serializers.FloatField(allow_null=True)


class ModelDetails(ModelResource, JobDetails):
    """A model with all its facts."""

    snapshots = serializers.SerializerMethodField(help_text=f"The newest first, at most {MAX_SNAPSHOTS}.")
    evaluations = serializers.SerializerMethodField()
    warnings = serializers.ListField(child=serializers.CharField())
    settings = serializers.SerializerMethodField(help_text="The fields of the form that would create it again.")

    @extend_schema_field(SnapshotFacts(many=True))
    def get_snapshots(self, model):
        marked = _marked(model)
        newest = validated(model.snapshots.order_by("-epoch"))[:MAX_SNAPSHOTS]
        return [_snapshot_json(model, snapshot, marked) for snapshot in newest]

    @extend_schema_field(EvaluationOfModel(many=True))
    def get_evaluations(self, model):
        rows = visible(Evaluation).filter(trained_model=model).only(*Evaluation.LISTED, "accuracy")
        return EvaluationOfModel(rows.order_by("-created_at"), many=True).data

    def get_settings(self, model) -> dict[str, Any]:
        return form_values(model)


class WholeModelFacts(ModelFacts):
    """A model."""

    details = ModelDetails(required=False, help_text="With `?details=1`.")


class ModelFilter(ResourceFilter):
    """The query string of the list of models."""

    SORTS = EVERY_CLASS | {"accuracy": "accuracy", "disk": "disk_bytes"}

    dataset = serializers.CharField(default="", max_length=100, help_text="The id of the dataset.")
    min_accuracy = serializers.FloatField(
        default=None, min_value=0, max_value=1, help_text="The least accuracy, 0 to 1."
    )
    max_accuracy = serializers.FloatField(
        default=None, min_value=0, max_value=1, help_text="The most accuracy, 0 to 1."
    )

    def filtered(self, jobs):
        chosen = self.validated_data
        limits = {
            "dataset": chosen["dataset"] or None,
            "accuracy__gte": chosen["min_accuracy"],
            "accuracy__lte": chosen["max_accuracy"],
        }
        return super().filtered(jobs.filter(**{name: value for name, value in limits.items() if value is not None}))


class ModelResourceViewSet(ResourceViewSet):
    """Models."""

    role = Role.USER
    job_class = TrainedModel
    filter_class = ModelFilter
    row = ModelResource
    whole = ModelDetails

    def rows(self):
        return super().rows().annotate(accuracy=best_accuracy())

    def context(self, jobs):
        return context_of(jobs)

    def details(self, job):
        return model_details(job)

    @extend_schema(responses={200: page_of(ModelResource), **errors(404)}, parameters=[ModelFilter])
    def list(self, request):
        """Models in pages, filtered and in an order."""
        return self.list_jobs(request)

    @extend_schema(responses={200: ModelDetails})
    def retrieve(self, request, job_id):
        """A model with all its facts."""
        return self.describe(job_id)

    @extend_schema(request=None, responses={**ACTED, **errors(404, 409)})
    @action(detail=True, methods=["post"])
    def stop(self, request, job_id):
        """End a training early: after its current step it writes its last snapshot, and the model is Done."""
        model = own_model(request, job_id)
        services.stop_early(model)
        return acted(request, "The training ends after its current step.", id=model.pk, status=model.status)


def own_model(request, job_id: str) -> TrainedModel:
    """The model, if the user may change it. Raises NotFound or PermissionDenied."""
    model = fetch(TrainedModel, job_id)
    permissions.refuse_to_change(request, model)
    return model


def model_details(model: TrainedModel) -> dict[str, Any]:
    """A model as JSON with all its facts."""
    best = TrainedModel.objects.filter(pk=model.pk).values_list(best_accuracy(), flat=True).first()
    return details_of(ModelDetails, model, accuracy=best, **context_of([model]))


def context_of(models: Sequence[TrainedModel]) -> dict[str, Any]:
    """The serializer's context of these models: the names of their datasets, as far as the user may see them, and the
    numbers of their snapshots."""
    ids = {model.dataset_id for model in models}
    counted = Snapshot.objects.filter(trained_model__in=[model.pk for model in models]).order_by()
    return {
        "dataset_names": dict(visible(Dataset).filter(pk__in=ids).values_list("pk", "name")),
        "snapshot_counts": dict(counted.values_list("trained_model").annotate(Count("pk"))),
    }


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as JSON."""
    model = snapshot.trained_model
    return _snapshot_json(model, validated(model.snapshots.filter(pk=snapshot.pk)).get(), _marked(model))


def _marked(model: TrainedModel) -> dict[str, Snapshot | None]:
    """The snapshots that have a mark, by its name."""
    marks: dict[str, Which] = {"best": BEST, "latest": NEWEST, "default": None}
    return {name: model.snapshot_at(which) for name, which in marks.items()}


def _snapshot_json(model: TrainedModel, snapshot: Any, marked: dict[str, Snapshot | None]) -> dict[str, Any]:
    snapshot.trained_model = model
    return {
        "epoch": epoch_json(snapshot.epoch),
        "created_at": snapshot.created_at,
        "accuracy": snapshot.accuracy,
        "loss": snapshot.loss,
        "bytes": disk_usage.size(snapshot.directory),
        **{name: other is not None and other.pk == snapshot.pk for name, other in marked.items()},
        "keep": snapshot.keep,
    }
