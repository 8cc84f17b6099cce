"""What a half-filled form of a new model would become: a plan, the learning rate, images, and the same as a command."""

import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from zlib import crc32

from django.urls import reverse
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import BooleanField

from datasets.models import Dataset
from digits_project.accounts.viewer import without_paths
from digits_project.api.exception_handler import messages_by_field
from digits_project.common.errors import BadInput
from digits_project.jobs.models import Status
from digits_project.jobs.visibility import find_visible
from models_app import network_texts, recipes
from models_app.api.plans import plan
from models_app.api.policy_form import PolicyForm
from models_app.api.previews.preview_forms import DatasetPreviewForm
from models_app.api.serializers import FORMS, ModelForm
from models_app.networks.pretrained.packaged import PACKAGED

UNNAMED = "new model"
ROUTES = {"classification": "create-model", "generic": "create-generic-model"}
NOT_SENT = {"dry_run", "q", "csrfmiddlewaretoken"}


def sent_fields(data: Mapping[str, Any], form: ModelForm) -> dict[str, str]:
    """The fields that a user filled in: not empty, known, and not a default that no recipe changes."""
    defaults, by_recipe = form.defaults(), recipes.fillable()
    found = {}
    for name, value in data.items():
        is_default = name not in by_recipe and str(defaults.get(name)).lower() == str(value).lower()
        if isinstance(value, str) and value and name not in NOT_SENT and form.knows(name) and not is_default:
            found[name] = value
    return found


def planned(owner: str, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The template context: the plan if the form is complete, what is wrong with its fields if not, and what can be
    shown of it in any case."""
    empty = FORMS[kind]()
    sent = sent_fields(data, empty)
    form = FORMS[kind](data={**sent, "model_name": sent.get("model_name", UNNAMED)})
    plans, wrong = _plans(owner, form)
    merged = {**sent, **form.filled.values}
    dataset = find_visible(sent.get("dataset", ""), Dataset)
    sheet = _sheet(dataset, merged) if kind == "classification" else ""
    return {
        "planned": plans,
        "wrong": without_paths({name: found for name, found in wrong.items() if name in sent}),
        "lacks_dataset": dataset is None,
        "rates": _rates(merged),
        "sheet": sheet,
        "sheet_key": crc32(sheet.encode()),
        "filled": {name: _shown(value) for name, value in form.filled.values.items()},
    }


def _plans(owner: str, form: ModelForm) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """(the planned models, the errors by field); one of them is empty."""
    try:
        form.is_valid(raise_exception=True)
        return plan(owner, form), {}
    except ValidationError as invalid:
        return [], messages_by_field(invalid.detail)
    except BadInput as invalid:
        return [], {"": [str(invalid)]}


def _rates(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The learning rate at every percent of the training; of a range both ends. None if the fields are wrong."""
    form = PolicyForm(
        data={name: _ends(value) for name, value in values.items() if name.startswith(("lr_", "learning_"))}
    )
    if not form.is_valid():
        return None
    policy = dict(form.validated_data)
    bases = policy.pop("learning_rate")
    try:
        return {"x": range(101), "lines": {f"{base:g}": network_texts.learning_rates(base, **policy) for base in bases}}
    except BadInput:
        return None


def _ends(value: Any) -> Any:
    low, found, high = str(value).removesuffix(" log").partition("..")
    return f"{low},{high}" if found else value


def _sheet(dataset: Dataset | None, values: Mapping[str, Any]) -> str:
    """The URL of nine images as the training sees them; "" if they can't be shown."""
    if dataset is None or dataset.status != Status.DONE:
        return ""
    asked = {name: str(values[name]).split(",")[0] for name in DatasetPreviewForm().names() if name in values}
    weights = PACKAGED.get(str(values.get("pretrained_networks", "")))
    if weights:
        asked["standard_networks"] = weights.network
    form = DatasetPreviewForm(data=asked)
    if not form.is_valid():
        return ""
    return f"{reverse('datasets-augment-preview-png', args=[dataset.pk])}?{urlencode(asked)}"


def _shown(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def as_curl(address: str, sent: Mapping[str, str], needs_token: bool) -> str:
    """The request that creates the same model, as a line of curl."""
    token = ['-H "Authorization: Token $DIGITS_TOKEN"'] if needs_token else []
    fields = [f"--form-string {shlex.quote(f'{name}={value}')}" for name, value in sent.items()]
    return " \\\n  ".join([f"curl {shlex.quote(address)}", *token, *fields])


def as_command(kind: str, sent: Mapping[str, str]) -> str:
    """The command that creates the same model on the server. A network's text goes into a file."""
    flags = {name for name, field in FORMS[kind]().fields.items() if isinstance(field, BooleanField)}
    parts = [f"digits train {shlex.quote(sent.get('model_name', UNNAMED))}"]
    parts += ["--generic"] if kind == "generic" else []
    for name, value in sent.items():
        if name == "model_name" or (name in flags and value.lower() in ("no", "false")):
            continue
        option = "previous-snapshot" if name.endswith("-snapshot") else name.replace("_", "-")
        written = "network.prototxt" if name == "custom_network" else shlex.quote(value)
        parts.append(f"--{option}" if name in flags else f"--{option} {written}")
    return " \\\n  ".join(parts)
