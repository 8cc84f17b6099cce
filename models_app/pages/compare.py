"""The page that compares models: their states, their curves, the settings that differ, and their evaluations."""

from collections.abc import Sequence
from typing import Any

from django.urls import reverse

from digits_project.accounts.roles import Role
from digits_project.accounts.viewer import limited_user
from digits_project.api.browsable import PageResponse
from digits_project.api.viewsets import PageView
from digits_project.jobs.overview import time_left
from digits_project.jobs.visibility import visible
from models_app import evaluations
from models_app.api.hyperparameter_fields import title_of
from models_app.models import TrainedModel
from models_app.pages.comparison import MAX_COMPARED, differences
from models_app.pages.curves import curves
from models_app.results import Evaluation

MAX_LISTED = 100
MAX_CATEGORIES = 50  # side by side
POINTS = 100  # of a curve that is drawn without scripts
FIGURES = {
    "accuracy": "Accuracy",
    "top_5_accuracy": "Among the best five",
    "loss": "Loss",
    "calibration_error": "Calibration error",
    "images": "Images",
}


class Compare(PageView):
    """The models whose ids are in `ids`, separated by commas: a hundred listed, ten compared."""

    role = Role.USER

    def get_view_name(self):
        return "Compare models"

    def get(self, request):
        ids = [text for text in request.query_params.get("ids", "").split(",") if text][:MAX_LISTED]
        found = {model.pk: model for model in visible(TrainedModel).filter(pk__in=ids).select_related("dataset")}
        listed = [found[pk] for pk in dict.fromkeys(ids) if pk in found]
        context = comparison_of(listed, len(set(ids)) - len(listed))
        return PageResponse({}, "models_app/compare.html", json_address="", **context)


def comparison_of(listed: Sequence[TrainedModel], missing: int) -> dict[str, Any]:
    """The template context of the page."""
    compared = list(listed[:MAX_COMPARED])
    hidden = {*TrainedModel.PATHS, "dataset", "previous"} if limited_user() else set()
    rows = [(title_of(name), values) for name, values in differences(compared) if name not in hidden]
    return {
        "listed": [_listed(model, listed) for model in listed],
        "compared": [(model, reverse("model-curves", args=[model.pk])) for model in compared],
        "missing": missing,
        "max": MAX_COMPARED,
        "chart": _chart(compared),
        "differences": rows,
        "disputable": _disputable(compared),
        **_side_by_side(compared),
    }


def _listed(model: TrainedModel, listed: Sequence[TrainedModel]) -> dict[str, Any]:
    best = model.best_snapshot
    without = ",".join(other.pk for other in listed if other is not model)
    return {"model": model, "best": best, "left": time_left(model), "without": without}


def _chart(models: Sequence[TrainedModel]) -> dict[str, Any]:
    """The validation accuracies, or losses if no model has an accuracy, as the component line_chart takes them."""
    measured = {model.pk: curves(model, POINTS).get("val", {}) for model in models}
    has_accuracy = any(value is not None for points in measured.values() for value in points.get("accuracy", []))
    column = "accuracy" if has_accuracy else "loss"
    x = sorted({epoch for points in measured.values() for epoch in points.get("epoch", [])})
    lines = {}
    for model in models:
        points = measured[model.pk]
        at = dict(zip(points.get("epoch", []), points.get(column, []), strict=True))
        lines[_name(model, models)] = [at.get(epoch) for epoch in x]
    return {"title": f"Validation {column}", "x": x, "lines": lines}


def _name(model: TrainedModel, models: Sequence[TrainedModel]) -> str:
    same = [other for other in models if other.name == model.name]
    return model.name if len(same) == 1 else f"{model.name} ({model.pk})"


def _disputable(models: Sequence[TrainedModel]) -> str:
    """The ids of the models of the first one's dataset, for the page of their disagreements; "" for fewer than two."""
    same = [model.pk for model in models if model.dataset_id == models[0].dataset_id]
    return ",".join(same) if len(same) > 1 else ""


def _side_by_side(models: Sequence[TrainedModel]) -> dict[str, Any]:
    """The figures of the models' evaluations, and what share of each category each model recognizes."""
    found: list[Evaluation | None] = [evaluations.find(model) for model in models]
    if not any(found):
        return {"figures": [], "by_category": []}
    figures = [(title, name, [one and getattr(one, name) for one in found]) for name, title in FIGURES.items()]
    recalls = [{row["category"]: row["recall"] for row in one.categories} if one else {} for one in found]
    names = dict.fromkeys(name for recall in recalls for name in recall)
    rows = [(name, [recall.get(name) for recall in recalls]) for name in names]
    rows.sort(key=lambda row: min((value for value in row[1] if value is not None), default=1.0))
    return {"figures": figures, "by_category": rows[:MAX_CATEGORIES], "splits": [one and one.split for one in found]}
