"""Template tags and filters of the pages of models."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from django import template
from django.urls import NoReverseMatch, reverse

from digits_project.jobs.visibility import visible
from models_app.api.hyperparameter_fields import title_of
from models_app.api.serializers import ModelForm
from models_app.models import TrainedModel
from models_app.pages.evaluation_figures import figures
from models_app.pages.form_plan import ROUTES
from models_app.pages.model_page import found_model, model_page, uses_of
from models_app.pages.new_model import page_choices
from models_app.results import Evaluation

register = template.Library()


@register.simple_tag(takes_context=True)
def model_facts(context, job_id: str) -> dict[str, Any]:
    """What the page of a model shows."""
    model = found_model(job_id)
    return model_page(model, context["request"]) if model else {}


@register.simple_tag(takes_context=True)
def model_uses(context, model: TrainedModel) -> list[dict[str, str]]:
    """How to use a model elsewhere, with the address of this server."""
    return uses_of(model, context["request"].build_absolute_uri("/").rstrip("/"))


@register.simple_tag
def model_choices(form: ModelForm) -> dict[str, Any]:
    """What the page that creates models offers."""
    return page_choices(form)


@register.filter
def item(values: Mapping, key: str):
    """The value of a key; None if there is none."""
    return values.get(key)


@register.filter
def duration(seconds: float) -> str:
    """Seconds in one unit: "40 s", "12 min", "3.5 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@register.filter
def words(name: str) -> str:
    """The name of a field as the page's form calls it."""
    return title_of(name)


@register.filter
def titled_spreads(figures: Mapping[str, Mapping | None]) -> list[tuple[str, Mapping]]:
    """The figures of a k-fold that are there, with their titles."""
    titles = {"accuracy": "Accuracy, best snapshots", "last_accuracy": "Accuracy, last epochs", "macro_f1": "Macro F1"}
    return [(title, found) for name, title in titles.items() if (found := figures[name])]


@register.filter
def at(values: Sequence, place: int):
    """The value at a place."""
    return values[place]


@register.simple_tag(takes_context=True)
def picture_address(context, dataset: str, split: str, record: int) -> str:
    """The URL of an image of a dataset; "" if the user can't see it on a page."""
    for route in ("dataset-picture", "admin:datasets_dataset_image"):
        if route.startswith("admin:") and not context["request"].user.is_staff:
            continue
        with suppress(NoReverseMatch):
            return reverse(route, args=[dataset, split, record])
    return ""


@register.simple_tag
def cell_address(evaluation: Evaluation, true: int, predicted: int) -> str:
    """The URL of the images of a cell of a confusion matrix; "" if this server has no such page."""
    with suppress(NoReverseMatch):
        page = reverse("evaluation-cell", args=[evaluation.trained_model_id])
        query = {"split": evaluation.split, "epoch": f"{evaluation.epoch:g}", "true": true, "predicted": predicted}
        return f"{page}?{urlencode(query)}"
    return ""


@register.simple_tag
def judging_address(evaluation: Evaluation, page: str) -> str:
    """The URL of a page about what an evaluation stores of each image, by its name; "" if this server has no such
    page."""
    with suppress(NoReverseMatch):
        return reverse(page, args=[evaluation.pk])
    return ""


@register.simple_tag
def clone_address(job_id: str) -> str:
    """The URL of the form for a new model, filled with the settings of this one."""
    model = found_model(job_id)
    return f"{reverse(ROUTES[model.kind])}?clone={job_id}" if model else ""


@register.simple_tag
def evaluation_facts(job_id: str, query: Mapping[str, str]) -> dict[str, Any]:
    """The results of an evaluation."""
    evaluation = visible(Evaluation).defer("confusion_matrix").filter(pk=job_id).first()
    return figures(evaluation, query) if evaluation else {}
