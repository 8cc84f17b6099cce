"""Compares the settings of models, as rows of a table."""

from collections.abc import Sequence

from models_app.hyperparameter_columns import IN_COLUMNS
from models_app.models import TrainedModel

SETTINGS = (
    "dataset",
    "kind",
    "method",
    "standard_network",
    "custom_network",
    "custom_network_snapshot",
    "previous",
    "previous_epoch",
    "pretrained",
    "packaged_weights",
    "crop_size",
    "input_size",
    "recipe",
    "recipe_used",
    *(declared.wire_name for declared in IN_COLUMNS),
    "lr_parameters",
    "framework",
    "engine",
    "engine_used",
    "devices_used",
    "precision_used",
    "images_per_second",
    "select_gpus",
    "select_gpu_count",
)
MAX_COMPARED = 10  # models at a time
LONGEST = 200  # characters of a value


def settings_of(model: TrainedModel) -> dict[str, str]:
    """The settings of a model as texts: its columns, and the parameters of its learning rate policy."""
    values = {name: getattr(model, name) for name in SETTINGS if name != "lr_parameters"}
    return {name: _shown(value) for name, value in {**values, **model.lr_parameters}.items()}


def differences(models: Sequence[TrainedModel]) -> list[tuple[str, list[str]]]:
    """(setting, [value of each model]) of the settings that are not the same for all models."""
    tables = [settings_of(model) for model in models]
    names = dict.fromkeys(name for table in tables for name in table)
    rows = [(name, [table.get(name, "–") for table in tables]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _shown(value) -> str:
    if value in (None, "", []):
        return "–"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
