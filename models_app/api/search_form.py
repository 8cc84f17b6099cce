"""The part of the model forms that makes a search of a form: ranges and lists of values, and search_ fields."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.drainage import set_override
from rest_framework import serializers

from digits_project.api.forms import EMPTY
from digits_project.common.errors import BadInput
from models_app.api.model_fields import ListField, PositiveNumber
from models_app.api.policy_form import PolicyForm
from models_app.search.ranges import Dimension, is_list, is_range, read_choices, read_range
from models_app.search.search_job import (
    MAX_FOLDS,
    MAX_MINUTES,
    MAX_TRIALS,
    MEDIAN,
    MIN_FOLDS,
    NO_PRUNER,
    PRUNERS,
    USUAL_TRIALS,
)
from models_app.training.hyperparameter_declaration import Hyperparameter, hyperparameters_of
from models_app.training.hyperparameters import Hyperparameters

NUMERIC = {
    declared.wire_name: declared
    for declared in hyperparameters_of(Hyperparameters)
    if declared.type in (int, float) and not declared.choices and declared.name != "random_seed"
}
MAX_SHOWN = 40  # characters of a wrong value in a message
PATTERN = r"^[-+.0-9e]+(\.\.[-+.0-9e]+( log)?|(,[-+.0-9e]+)+)$"  # of a range or a list, for the schema
LIMITS = ("search_trials", "search_minutes")
ONE_VALUE = "This takes one number. A search can choose the values of numeric hyperparameters, such as learning_rate."
SEARCH_FIELDS = (*LIMITS, "search_pruner", "folds")
SEVERAL = ("learning_rate", "batch_size")  # the fields that take several values


class SearchForm(PolicyForm):
    """A base of the model forms. Each numeric hyperparameter can be a range, `0.0001..0.1 log`, or a list.

    Then the form describes a search. Lists of learning rates and batch sizes, as DIGITS has them, do so only with
    search_trials or search_minutes. In the valid data `search` has the arguments of create_search; it is absent
    without a search.
    """

    search_trials = serializers.IntegerField(min_value=1, max_value=MAX_TRIALS, default=None)
    search_minutes = PositiveNumber(max_value=MAX_MINUTES, default=None)
    search_pruner = serializers.ChoiceField(PRUNERS, default=MEDIAN)
    folds = serializers.IntegerField(min_value=MIN_FOLDS, max_value=MAX_FOLDS, default=None)

    def get_fields(self):
        fields = super().get_fields()
        for name in NUMERIC.keys() & fields.keys():
            if not isinstance(fields[name], ListField):
                _describe_range(fields[name])
        return fields

    def to_internal_value(self, data):
        if not hasattr(data, "items"):
            return super().to_internal_value(data)
        self._space, self._wrong_space = self._read_space(data)
        wrong = self._wrong_space
        ends = {name: _both_ends(NUMERIC[name], dimension) for name, dimension in self._space.items()}
        replaced = {**dict.fromkeys(wrong), **ends}
        try:
            values = super().to_internal_value({**data, **replaced} if replaced else data)
        except serializers.ValidationError as invalid:
            detail: Any = invalid.detail
            raise serializers.ValidationError({**detail, **wrong}) from invalid
        if wrong:
            raise serializers.ValidationError(wrong)
        return values

    def _read_space(self, data: Mapping) -> tuple[dict[str, Dimension], dict[str, list[str]]]:
        """The values to choose from, and errors, each by field."""
        space: dict[str, Dimension] = {}
        wrong = {
            name: [ONE_VALUE]
            for name, field in self.fields.items()
            if is_range(data.get(name)) and _has_one_number(field)
        }
        sent = {name: data[name] for name in NUMERIC if name in data and name in self.fields}
        is_search = any(data.get(name) not in EMPTY for name in LIMITS) or any(
            is_range(value) or (is_list(value) and not NUMERIC[name].several) for name, value in sent.items()
        )
        for name, value in sent.items():
            try:
                if is_search and (found := self._dimension(NUMERIC[name], value)):
                    space[name] = found
            except serializers.ValidationError as invalid:
                wrong[name] = [f"{str(value)[:MAX_SHOWN]}: {reason}" for reason in _flat(invalid.detail)]
            except BadInput as invalid:
                wrong[name] = [str(invalid)]
        return space, wrong

    def _dimension(self, declared: Hyperparameter, value: Any) -> Dimension | None:
        """The range or list that was sent for a hyperparameter; None for a single value."""
        field = self.fields[declared.wire_name]
        read_one = getattr(field, "child", field).run_validation
        if is_range(value):
            return read_range(value, read_one, declared.takes_whole_numbers)
        return read_choices(value, read_one) if is_list(value) else None

    def wrong_together(self, values):
        wrong = super().wrong_together(values)
        limit = next((name for name in LIMITS if values.get(name)), None)
        if values.get("folds"):
            wrong |= self._wrong_with_folds(values)
        elif limit and not self._space and not self._wrong_space:
            wrong[limit] = (
                "There is nothing to search: give a hyperparameter a range, such as learning_rate=0.0001..0.1 log."
            )
        for name in self._space:
            only_with = NUMERIC[name].only_with
            if only_with and only_with[0] in values and values[only_with[0]] != only_with[1]:
                field, choice = only_with
                wrong[name] = f"This belongs to {field}={choice}, but {field} is {values[field]}."
        return wrong

    def _wrong_with_folds(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Errors of fields that contradict `folds`, by field."""
        several = [name for name in SEVERAL if isinstance(values.get(name), list) and len(values[name]) > 1]
        named = [*self._space, *several, *(name for name in LIMITS if values.get(name))]
        reason = "A k-fold (folds) trains the same settings on each fold: give one value, and no limits of a search."
        return dict.fromkeys(named, reason)

    def validate(self, form):
        form = super().validate(form)
        trials, minutes, pruner, folds = (form.pop(name) for name in SEARCH_FIELDS)
        if folds:
            return form | {
                "search": {"space": {}, "trials": folds, "minutes": None, "pruner": NO_PRUNER, "folds": folds}
            }
        if not self._space:
            return form
        if trials is None and minutes is None:
            trials = USUAL_TRIALS
        return form | {"search": {"space": self._space, "trials": trials, "minutes": minutes, "pruner": pruner}}


def _has_one_number(field: serializers.Field) -> bool:
    """Whether a field takes a number that no search can choose, such as a size."""
    return isinstance(field, serializers.IntegerField | serializers.FloatField) and field.field_name not in NUMERIC


def _describe_range(field: Any) -> None:
    """Let a field of numbers take a range or a list on pages, and the schema say that it does."""
    field.style = {**field.style, "input_type": "text"}
    bounds = {"minimum": field.min_value, "maximum": field.max_value}
    number = {"type": "integer" if isinstance(field, serializers.IntegerField) else "number"}
    number |= {name: bound for name, bound in bounds.items() if bound is not None}
    set_override(field, "field", {"oneOf": [number, {"type": "string", "pattern": PATTERN}]})


def _both_ends(declared: Hyperparameter, dimension: Dimension) -> Any:
    """What the form checks instead of the range or list; the service checks both ends together with the network."""
    return list(dict.fromkeys(dimension.ends)) if declared.several else dimension.ends[0]


def _flat(detail: Any) -> list[str]:
    return [str(reason) for reason in detail] if isinstance(detail, list) else [str(detail)]
