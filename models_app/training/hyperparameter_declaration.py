"""Declares hyperparameters: fields of a dataclass with their range or choices, their help and their names.

    @dataclass(frozen=True)
    class Hyperparameters:
        batch_accumulation: int = hyperparameter(1, minimum=1, help="Batches whose gradients make one step.")

Forms, columns, options, tables and configurations are generated from `hyperparameters_of(Hyperparameters)`.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from digits_project.common.errors import BadInput

KEY = "hyperparameter"  # of the metadata of a dataclass's field
DATA, NETWORK, OPTIMIZER, SCHEDULE = "data", "network", "optimizer", "schedule"
AUGMENTATION, HARDWARE = "augmentation", "hardware"
GROUPS = (DATA, NETWORK, OPTIMIZER, SCHEDULE, AUGMENTATION, HARDWARE)  # in the order of the page


class BadHyperparameter(BadInput):
    """A value that a hyperparameter can't have; `field` names the hyperparameter to change."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Hyperparameter:
    """The declaration of one hyperparameter.

    `type` is float, int, bool, str, or tuple for a list of numbers. `default` is MISSING if every training must set
    it. The bounds `minimum` and `maximum` are allowed values, `above` and `below` are not. `wire_name` is the name
    outside of the trainer: of the form's field, the column and the command's option. `only_with` is the choice that
    it belongs to: ("solver_type", "RMSPROP"). `several`: a form accepts a list of values, and creates a model for
    each. `whole`: a form accepts only whole numbers, while the trainer accepts fractions too. `group` is
    the part of a page's form that it stands in, one of GROUPS, `unit` what its values count, and `title` its label; if
    that is "", the label is made of the name.
    """

    name: str
    type: type
    default: Any
    is_optional: bool  # None is a value
    help: str
    wire_name: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    only_with: tuple[str, str] | None = None
    several: bool = False
    whole: bool = False
    group: str = ""
    unit: str = ""
    title: str = ""

    @property
    def is_required(self) -> bool:
        return self.default is MISSING

    @property
    def takes_whole_numbers(self) -> bool:
        """Whether users can set only whole numbers."""
        return self.type is int or self.whole

    @property
    def lowest(self) -> float | None:
        """The lower bound for validators and schemas. For fractions the bound itself is not allowed if it is
        `above`."""
        if self.above is None:
            return self.minimum
        return self.above + 1 if self.takes_whole_numbers else self.above

    @property
    def highest(self) -> float | None:
        """The upper bound as validators and schemas have it: of fractions it is not allowed itself if it is `below`."""
        if self.below is None:
            return self.maximum
        return self.below - 1 if self.takes_whole_numbers else self.below

    def check(self, value: Any) -> None:
        """Raise BadHyperparameter for a value of another type, out of range, or not among the choices."""
        if wrong := self.error_of(value):
            raise BadHyperparameter(self.name, wrong)

    def error_of(self, value: Any) -> str:
        """A message that says why the hyperparameter can't have this value; "" if it can."""
        if (value is None and self.is_optional) or self._allows(value):
            return ""
        return f"{self.name} must be {self._expected()}, not {value!r}"

    def _allows(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if self.type is bool:
            return isinstance(value, bool)
        if self.type is tuple:
            return isinstance(value, tuple) and all(map(is_number, value))
        return (is_whole(value) if self.type is int else is_number(value)) and self._is_in_range(value)

    def _is_in_range(self, value: float) -> bool:
        return not (
            (self.minimum is not None and value < self.minimum)
            or (self.maximum is not None and value > self.maximum)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        )

    def _expected(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.type in (bool, tuple):
            return "true or false" if self.type is bool else "a list of numbers"
        kind = "a whole number" if self.type is int else "a number"
        if self.minimum is not None and self.maximum is not None:
            return f"{kind} from {self.minimum} to {self.maximum}"
        words = {"from": self.minimum, "above": self.above, "at most": self.maximum, "below": self.below}
        bounds = [f"{word} {bound}" for word, bound in words.items() if bound is not None]
        return f"{kind} {' and '.join(bounds)}".rstrip()


def hyperparameter(default: Any = MISSING, *, help: str, wire_name: str = "", **facts: Any) -> Any:
    """Declare a field of a dataclass as a hyperparameter; `facts` are further fields of Hyperparameter."""
    facts |= {"help": help, "wire_name": wire_name}
    return field(default=default, kw_only=True, metadata={KEY: facts})


def hyperparameters_of(owner: type) -> tuple[Hyperparameter, ...]:
    """The hyperparameters that a dataclass declares or inherits, in that order; its other fields are left out."""
    return _declared(owner)


@cache
def _declared(owner: Any) -> tuple[Hyperparameter, ...]:
    types = get_type_hints(owner)
    declared = [(found, found.metadata[KEY]) for found in fields(owner) if KEY in found.metadata]
    return tuple(
        Hyperparameter(
            **facts | {"wire_name": facts["wire_name"] or found.name},
            name=found.name,
            type=_plain(types[found.name]),
            default=found.default,
            is_optional=type(None) in get_args(types[found.name]),
        )
        for found, facts in declared
    )


def _plain(annotation: Any) -> type:
    """The class behind an annotation: int for `int | None`, tuple for `tuple[float, ...]`, else the annotation
    itself."""
    if get_origin(annotation) is tuple:
        return tuple
    return next((part for part in get_args(annotation) if part is not type(None)), annotation)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # True is an int, but not a number
