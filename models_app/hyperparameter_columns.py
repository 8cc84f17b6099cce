"""The columns that hold a model's hyperparameters, made from their declarations, and what a recipe filled in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from models_app import recipes
from models_app.choices import lr_policies, recipe_names, solver_types
from models_app.training.hyperparameter_declaration import Hyperparameter, hyperparameters_of
from models_app.training.hyperparameters import Hyperparameters
from models_app.training.learning_rate import LearningRatePolicy

if TYPE_CHECKING:
    from models_app.models import TrainedModel

MAX_CHOICE = 10  # characters of a column, unless a choice is longer
MAX_INTEGER = 2**31 - 1
CLASSES = {bool: models.BooleanField, float: models.FloatField, str: models.CharField, tuple: models.JSONField}
# Arguments of columns that older migrations made; other values would need a new migration.
AS_MIGRATED: dict[str, dict[str, Any]] = {
    "solver_type": {"choices": solver_types},
    "lr_policy": {"choices": lr_policies},
    "learning_rate": {"validators": []},
    "rms_decay": {"help_text": "Only for RMSPROP."},
    "snapshot_interval": {"help_text": "Epochs; 0: only at the end."},
    "val_interval": {"help_text": "Epochs; 0: never."},
    "early_stop_patience": {"help_text": "Validations without improvement before the training stops; 0: never."},
    "keep_snapshots": {"help_text": "How many of the newest to keep, besides the best; 0: all; empty: about ten."},
    "balance_classes": {"help_text": "Whether all categories have the same weight in the loss."},
}
RATE = hyperparameters_of(LearningRatePolicy)
RATE_COLUMNS = tuple(declared.wire_name for declared in RATE if not declared.only_with)
# The learning rate comes last, beside lr_parameters, which has the parameters of the chosen policy.
IN_COLUMNS = (
    *(declared for declared in hyperparameters_of(Hyperparameters) if declared not in RATE),
    *(declared for declared in RATE if not declared.only_with),
)


class FilledInByRecipe(models.Model):
    """A model whose form a recipe filled in."""

    recipe = models.CharField(max_length=recipes.MAX_NAME, choices=recipe_names, default=recipes.CLASSIC.name)
    recipe_used = models.CharField(max_length=recipes.MAX_NAME, blank=True, editable=False)  # what auto chose
    recipe_reason = models.TextField(blank=True, editable=False)  # why auto chose it
    filled_in = models.JSONField(default=dict, blank=True, editable=False)  # {field of the form: value}
    # The seconds of its training by estimates.cost_model, uncorrected: with the true ones it corrects later estimates.
    estimated_seconds = models.FloatField(null=True, editable=False)
    # What its training will write: into its folder, and beside the dataset's records. 0: not known.
    estimated_bytes = models.BigIntegerField(default=0, editable=False)
    estimated_cache_bytes = models.BigIntegerField(default=0, editable=False)

    class Meta:
        abstract = True


class HyperparameterColumns:
    """Adds a column to a model class for each hyperparameter; in a row, their checked values.

        class TrainedModel(Job):
            hyperparameters = HyperparameterColumns()  # the columns batch_size, train_epochs, …

        TrainedModel(batch_size=16).hyperparameters.epochs  # 30

    Raises BadHyperparameter for a row that holds a wrong value.
    """

    def __init__(self) -> None:
        self._columns = {declared.wire_name: column(declared) for declared in IN_COLUMNS}
        self._columns["lr_parameters"] = models.JSONField(default=dict, blank=True)

    def contribute_to_class(self, model: type[models.Model], name: str) -> None:
        for column_name, made in self._columns.items():
            model.add_to_class(column_name, made)
        setattr(model, name, self)

    def __get__(self, row: TrainedModel | None, model: type[models.Model] | None = None) -> Hyperparameters:
        if row is None:
            raise AttributeError("a row has values of the hyperparameters, its class has none")
        values = {declared.name: getattr(row, declared.wire_name) for declared in IN_COLUMNS}
        return Hyperparameters(**values, **row.lr_parameters)


def column(declared: Hyperparameter) -> models.Field:
    """The column of one hyperparameter, with its default, choices and range."""
    facts: dict[str, Any] = {"validators": _validators(declared)}
    if declared.is_optional:
        facts |= {"null": True, "blank": True}
    elif declared.type is tuple:
        facts |= {"default": partial(list, declared.default), "blank": True}
    elif not declared.is_required:
        facts["default"] = declared.default
    if declared.choices:
        longest = max(MAX_CHOICE, *map(len, declared.choices))
        facts |= {"choices": [(choice, choice) for choice in declared.choices], "max_length": longest}
    return _class_of(declared)(**facts | AS_MIGRATED.get(declared.name, {}))


def _class_of(declared: Hyperparameter) -> type[models.Field]:
    if not declared.takes_whole_numbers:
        return CLASSES[declared.type]
    if declared.lowest is None or declared.lowest < 0:
        return models.IntegerField
    is_big = declared.highest is not None and declared.highest > MAX_INTEGER
    return models.PositiveBigIntegerField if is_big else models.PositiveIntegerField


def _validators(declared: Hyperparameter) -> list[MinValueValidator | MaxValueValidator]:
    """Validators of the bounds; a column of positive whole numbers refuses negative ones without a validator."""
    is_positive = declared.takes_whole_numbers and declared.lowest == 0
    lower = [] if declared.lowest is None or is_positive else [MinValueValidator(declared.lowest)]
    upper = [] if declared.highest is None else [MaxValueValidator(declared.highest)]
    return lower + upper
