"""Models that are planned, not created: what their recipe fills in, and the estimates."""

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import transaction
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from models_app import searches
from models_app.api.model_responses import CreatedModel, CreatedSweep, recipe_json
from models_app.api.serializers import ModelForm
from models_app.estimates.disk_space import readable
from models_app.estimates.estimate import estimate_of, model_costs, remarks_on
from models_app.estimates.network_costs import NetworkCosts
from models_app.models import TrainedModel


def plan(owner: str, form: ModelForm) -> list[dict[str, Any]]:
    """The models of a valid form as JSON; nothing is created. Raises ValidationError."""
    try:
        with transaction.atomic():
            models = searches.planned_models(owner, **form.validated_data)
    except DjangoValidationError as wrong:
        raise ValidationError(form.in_wire_names(wrong)) from wrong
    costs = model_costs(models[0])
    remarks = remarks_on(models, costs)
    return [_planned(model, costs) | remarks for model in models]


def _planned(model: TrainedModel, costs: NetworkCosts | None) -> dict[str, Any]:
    estimate = {"estimate": estimate_of(model, costs).to_json()} if costs else {}
    return {"dry_run": True, "name": model.name, "dataset_id": model.dataset_id, **recipe_json(model), **estimate}


def in_words(planned: dict[str, Any]) -> list[str]:
    """A planned model as lines for people."""
    estimate = _estimate_in_words(planned["estimate"]) if "estimate" in planned else []
    warnings = [f"warning: {text}" for text in planned["warnings"]]
    refusals = [f"would be refused: {text}" for text in planned["refusals"]]
    return [*recipe_in_words(planned), *estimate, *warnings, *refusals]


def recipe_in_words(facts: dict[str, Any]) -> list[str]:
    """What recipe_json() says, as lines for people."""
    if not facts.get("recipe_used"):
        return []
    filled = ", ".join(f"{name}={value}" for name, value in facts["filled_in"].items()) or "nothing"
    return [facts.get("recipe_reason") or f"recipe: {facts['recipe_used']}", f"filled in: {filled}"]


def _estimate_in_words(estimate: dict[str, Any]) -> list[str]:
    took = f"time: not known, because {estimate['basis']}"
    if estimate["seconds"] is not None:
        took = f"time: about {_duration(estimate['seconds'])}, judging by {estimate['basis']}"
    snapshots = f"{estimate['snapshots']} snapshots of {readable(estimate['snapshot_bytes'])}"
    disk = f"disk: {readable(estimate['disk_bytes'])} ({snapshots}); {readable(estimate['disk_free_bytes'])} are free"
    if pending := estimate["disk_pending_bytes"]:
        disk += f", of which other trainings will still write {readable(pending)}"
    if (left := estimate["owner_disk_left_bytes"]) is not None:
        disk += f"; {readable(left)} are left of your limit"
    return [took, disk, f"memory: about {readable(estimate['memory_bytes'])}"]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


class EstimateFacts(serializers.Serializer):
    """An estimate of a training."""

    seconds = serializers.FloatField(allow_null=True, help_text="From its start to its end; null: not known.")
    basis = serializers.CharField(help_text="What the seconds were estimated from, or why they are not known.")
    disk_bytes = serializers.IntegerField(help_text="Left on disk at its end, caches included.")
    disk_free_bytes = serializers.IntegerField(help_text="Free for trainings, without DIGITS_MIN_FREE_DISK.")
    disk_pending_bytes = serializers.IntegerField(
        help_text="Of the free bytes, what waiting and running trainings will still write."
    )
    owner_disk_left_bytes = serializers.IntegerField(
        allow_null=True,
        help_text="Left of your limit (DIGITS_MAX_OWNER_DISK), without what your other trainings will write.",
    )
    snapshots = serializers.IntegerField(help_text="How many are kept.")
    snapshot_bytes = serializers.IntegerField(help_text="Of one snapshot, without the solver's memory.")
    cache_bytes = serializers.IntegerField(
        allow_null=True, help_text="Decoded images and features; null: the dataset is not Done."
    )
    memory_bytes = serializers.IntegerField(help_text="Roughly, for weights, solver and one batch.")


class PlannedModel(serializers.Serializer):
    """A model that dry_run planned."""

    dry_run = serializers.BooleanField()
    name = serializers.CharField()
    dataset_id = serializers.CharField()
    recipe = serializers.CharField(required=False)
    recipe_used = serializers.CharField(required=False)
    recipe_reason = serializers.CharField(required=False)
    filled_in = serializers.DictField(required=False)
    estimate = EstimateFacts(required=False, help_text="Absent while the shapes of a generic dataset are unknown.")
    warnings = serializers.ListField(child=serializers.CharField())
    refusals = serializers.ListField(child=serializers.CharField(), help_text="Why the model would be refused.")


class PlannedModels(serializers.Serializer):
    """Models that dry_run planned together."""

    jobs = PlannedModel(many=True)


Creation = PolymorphicProxySerializer(
    "Creation", [CreatedModel, CreatedSweep, PlannedModel, PlannedModels], resource_type_field_name=None
)
