"""The fields of the model forms that are hyperparameters, made from their declarations."""

import re
from collections.abc import Iterable

from rest_framework import serializers

from digits_project.api.forms import Flag
from models_app.api.model_fields import MAX_NUMBER, ListField, Number, Numbers, PositiveNumber, UseMean
from models_app.training.hyperparameter_declaration import Hyperparameter

MAX_NUMBERS = 1000  # characters of a list
PREFIX = re.compile("^(aug|lr)_")
CHOICE_FIELDS = {"use_mean": UseMean}


def form_fields(hyperparameters: Iterable[Hyperparameter]) -> dict[str, serializers.Field]:
    """{name in forms: field} of the hyperparameters."""
    return {declared.wire_name: _form_field(declared) for declared in hyperparameters}


def title_of(name: str) -> str:
    """A label for a field: `aug_flip` as "Flip"; the headings of the page say what the prefixes say."""
    return PREFIX.sub("", name).replace("_", " ").capitalize()


def _form_field(declared: Hyperparameter) -> serializers.Field:
    """The field of a hyperparameter. Without a value it has the default; None if that depends on the training."""
    default = None if declared.is_required else declared.default
    style = {"group": declared.group, "unit": declared.unit, "title": declared.title or title_of(declared.wire_name)}
    facts = {"default": default, "help_text": declared.help, "style": style}
    if declared.several:
        return ListField(_one(declared), **facts | {"default": None if default is None else [default]})
    return _one(declared, **facts)


def _one(declared: Hyperparameter, **facts) -> serializers.Field:
    """The field for one value of a hyperparameter, without several separated by commas."""
    if declared.choices:
        return CHOICE_FIELDS.get(declared.name, serializers.ChoiceField)(declared.choices, **facts)
    if declared.type is bool:
        return Flag(**facts)
    if declared.type is tuple:
        return Numbers(max_length=MAX_NUMBERS, **facts)
    if declared.takes_whole_numbers:
        return serializers.IntegerField(min_value=_whole(declared.lowest), max_value=_whole(declared.highest), **facts)
    highest = MAX_NUMBER if declared.highest is None else declared.highest
    if declared.above == 0:
        return PositiveNumber(max_value=highest, below=declared.below, **facts)
    lowest = -MAX_NUMBER if declared.lowest is None else declared.lowest
    return Number(min_value=lowest, max_value=highest, above=declared.above, below=declared.below, **facts)


def _whole(bound: float | None) -> int | None:
    """The bound of a field of whole numbers."""
    return None if bound is None else int(bound)
