"""The page that creates models: the datasets, recipes and networks to choose from, and the groups of its fields."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import Avg, Count, Max, Q
from rest_framework import serializers

from datasets.models import Dataset
from digits_project.jobs.models import Status
from digits_project.jobs.visibility import find_visible, visible
from models_app import networks, recipes
from models_app.api.network_forms import StandardNetworkField
from models_app.api.serializers import ModelForm
from models_app.kinds import KINDS
from models_app.models import NetworkMethod, TrainedModel
from models_app.networks.pretrained.packaged import PACKAGED
from models_app.pretrained.installed import installed
from models_app.pretrained.pretrained_model import PretrainedModel
from models_app.training.hyperparameter_declaration import AUGMENTATION, DATA, GROUPS, HARDWARE, NETWORK

MAX_DATASETS, MAX_OFFERED = 24, 100
SEARCH = "search"
# The fields that the page itself places, and those that only scripts need.
PLACED = {"model_name", "dataset", "recipe", "method", *(n for names in ModelForm.FIELDS_OF.values() for n in names)}
FOR_SCRIPTS = {"framework", "dry_run", "select_gpu", "select_gpus"}
# The groups of the fields that are no hyperparameters; any other field is in the group of its declaration.
GROUP_OF = {
    "crop_size": DATA,
    "input_size": DATA,
    "engine": HARDWARE,
    "select_gpu_count": HARDWARE,
    "select_gpus_list": HARDWARE,
    "group_name": DATA,
}
TITLES = {
    "model_name": "Name",
    "crop_size": "Crop",
    "input_size": "Size of the network's images",
    "select_gpu_count": "Number of GPUs",
    "select_gpus_list": "Certain GPUs",
    "group_name": "Group",
}
HELP_OF_GROUPS = {
    DATA: "Which part of each image the network sees, and what is subtracted from it.",
    NETWORK: "Which layers are trained, and how.",
    "optimizer": "How each batch of images changes the weights.",
    "schedule": "How long the training takes, how the learning rate changes, and when snapshots are taken.",
    AUGMENTATION: "Random changes of the images, so that the network sees more variety.",
    HARDWARE: "What computes the training.",
    SEARCH: "Several trainings: give a number above a range, such as 0.001..0.1, and a search finds the best "
    "value; or a number of folds, and the same settings are trained on each.",
}
METHODS = {
    "": ("The recipe chooses", "A network that suits the images and the recipe."),
    NetworkMethod.STANDARD: ("A known network", "It starts with random weights."),
    NetworkMethod.PRETRAINED: ("Pretrained weights", "A network that has learned from other images."),
    NetworkMethod.PREVIOUS: ("The network of another model", "With its weights, or afresh."),
    NetworkMethod.CUSTOM: ("Your own network", "Written as Caffe prototxt."),
}


class DatasetChoice(NamedTuple):
    """A dataset in the list of the page."""

    dataset: Dataset
    images: int
    is_chosen: bool


class Group(NamedTuple):
    """A group of fields under "Advanced"."""

    name: str
    title: str
    help: str
    fields: list[Any]
    is_open: bool  # because a field in it has an error


def dataset_choices(chosen: str, text: str, has_categories: bool) -> list[DatasetChoice]:
    """The datasets that a model can be trained on whose name, owner or id has this text, the newest first; the chosen
    one always, before the others."""
    rows = visible(Dataset).exclude(status__in=(Status.ABORTED, Status.ERROR)).order_by("-created_at")
    if has_categories:
        rows = rows.filter(kind="classification")
    for word in text.split()[:10]:
        rows = rows.filter(Q(name__icontains=word) | Q(owner__icontains=word) | Q(pk=word))
    first = find_visible(chosen, Dataset) if chosen else None
    others = [dataset for dataset in rows[:MAX_DATASETS] if first is None or dataset.pk != first.pk]
    found = ([first] if first else []) + others
    return [DatasetChoice(dataset, dataset.images, dataset is first) for dataset in found]


def page_choices(form: ModelForm) -> dict[str, Any]:
    """The template context of the form: everything to choose from, and the groups of its fields."""
    kind = KINDS[form.KIND]
    values = {name: field.initial for name, field in form.fields.items()}
    dataset = str(values.get("dataset") or "") if isinstance(values.get("dataset"), str) else ""
    return {
        "kind": form.KIND,
        "datasets": dataset_choices(dataset, "", kind.has_categories),
        "recipes": _recipes(str(values.get("recipe") or recipes.AUTO)) if kind.has_categories else [],
        "methods": _methods(form, str(values.get("method") or "")),
        "networks": _networks() if "standard_networks" in form.fields else [],
        "all_networks": StandardNetworkField.suggestions(),
        "pretrained": _pretrained(),
        "models": list(visible(TrainedModel).order_by("-created_at").values_list("job_id", "name")[:MAX_OFFERED]),
        "groups": _groups(form),
    }


def _recipes(chosen: str) -> list[dict[str, Any]]:
    """The recipes as cards: what each does, what was measured, and what it did on this server."""
    here = _on_this_server("recipe_used")
    auto = "Chooses one of the others by the number and size of the images, and the devices."
    cards = [{"name": recipes.AUTO, "summary": auto, "measured": "", "here": None}]
    for recipe in recipes.RECIPES.values():
        cards.append({"name": recipe.name, "summary": recipe.summary, "measured": recipe.measured})
    return [card | {"here": here.get(str(card["name"])), "is_chosen": card["name"] == chosen} for card in cards]


def _networks() -> list[dict[str, Any]]:
    here = _on_this_server("standard_network")
    return [
        {"name": name, "network": network, "here": here.get(name), "weights": [w for w in installed() if w == name]}
        for name, network in networks.STANDARD.items()
    ]


def _on_this_server(column: str) -> dict[str, dict[str, Any]]:
    """{value of the column: number, speed and best accuracy of the ended trainings that the user may see}."""
    ended = visible(TrainedModel).filter(status=Status.DONE).exclude(**{column: ""}).order_by().values(column)
    rows = ended.annotate(
        count=Count("pk", distinct=True),
        speed=Avg("images_per_second"),
        best=Max("metrics__accuracy", filter=Q(metrics__split="val")),
    )
    return {row[column]: row for row in rows}


def _methods(form: ModelForm, chosen: str) -> list[dict[str, Any]]:
    field: Any = form.fields["method"]
    choices = ["", *field.choices] if field.allow_blank else field.choices
    return [
        {"value": value, "title": METHODS[value][0], "help": METHODS[value][1], "is_chosen": value == chosen}
        for value in choices
    ]


def _pretrained() -> list[tuple[str, str]]:
    """(value, label) of the installed weights and the pretrained models."""
    there = [(name, f"{name}: {PACKAGED[name].categories}") for name in installed() if name in PACKAGED]
    rows = visible(PretrainedModel).order_by("-created_at").values_list("job_id", "name")
    return [*there, *rows[:MAX_OFFERED]]


def _groups(form: ModelForm) -> list[Group]:
    """The groups of the fields that the page does not place itself."""
    found: dict[str, list[Any]] = {name: [] for name in (*GROUPS, SEARCH)}
    for name, field in form.fields.items():
        if name in TITLES:
            field.style = {**field.style, "title": TITLES[name]}
        if name not in PLACED | FOR_SCRIPTS:
            found[group_of(name, field)].append(form[name])
    errors: Mapping[str, Any] = form.errors if hasattr(form, "_errors") else {}
    return [_group(name, fields, errors) for name, fields in found.items() if fields]


def _group(name: str, fields: Sequence[Any], errors: Mapping[str, Any]) -> Group:
    is_wrong = any(field.name in errors for field in fields)
    return Group(name, name.capitalize(), HELP_OF_GROUPS[name], list(fields), is_wrong)


def group_of(name: str, field: serializers.Field) -> str:
    """The group in which a page shows a field."""
    return field.style.get("group") or GROUP_OF.get(name, SEARCH)
