"""The declaration of a hyperparameter: what it holds, and which values it allows."""

import math
from dataclasses import dataclass

import pytest

from models_app.training.hyperparameter_declaration import BadHyperparameter, hyperparameter, hyperparameters_of
from models_app.training.hyperparameters import Hyperparameters


@dataclass(frozen=True)
class Samples:
    share: float = hyperparameter(0.5, minimum=0, below=1, help="")
    rate: float = hyperparameter(above=0, maximum=9, help="")
    count: int = hyperparameter(1, above=0, below=10, wire_name="how_many", help="")
    seed: int | None = hyperparameter(None, help="")
    flag: bool = hyperparameter(False, help="")
    color: str = hyperparameter("red", choices=("red", "blue"), help="")
    steps: tuple[float, ...] = hyperparameter((1.0,), help="")
    path: str = ""


DECLARED = {declared.name: declared for declared in hyperparameters_of(Samples)}


def test_a_declaration_holds_wire_name_type_and_whether_a_value_is_required():
    seen = {name: (d.wire_name, d.type, d.is_required, d.is_optional) for name, d in DECLARED.items()}
    assert seen == {
        "share": ("share", float, False, False),
        "rate": ("rate", float, True, False),
        "count": ("how_many", int, False, False),
        "seed": ("seed", int, False, True),
        "flag": ("flag", bool, False, False),
        "color": ("color", str, False, False),
        "steps": ("steps", tuple, False, False),
    }


@pytest.mark.parametrize(
    "name, value",
    [("share", 0), ("rate", 9), ("count", 9), ("seed", None), ("seed", -5), ("flag", True), ("color", "blue"),
     ("steps", ()), ("steps", (1, -0.5))],
)  # fmt: skip
def test_a_value_in_the_range_is_allowed(name, value):
    assert DECLARED[name].error_of(value) == ""


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("share", 1, "share must be a number from 0 and below 1, not 1"),
        ("share", -0.1, "share must be a number from 0 and below 1, not -0.1"),
        ("share", None, "share must be a number from 0 and below 1, not None"),
        ("share", math.nan, "share must be a number from 0 and below 1, not nan"),
        ("rate", 0, "rate must be a number above 0 and at most 9, not 0"),
        ("rate", 9.5, "rate must be a number above 0 and at most 9, not 9.5"),
        ("count", 0, "count must be a whole number above 0 and below 10, not 0"),
        ("count", 10, "count must be a whole number above 0 and below 10, not 10"),
        ("count", 2.5, "count must be a whole number above 0 and below 10, not 2.5"),
        ("seed", True, "seed must be a whole number, not True"),
        ("flag", 1, "flag must be true or false, not 1"),
        ("color", "green", "color must be one of red, blue, not 'green'"),
        ("color", ["red"], "color must be one of red, blue, not ['red']"),
        ("steps", 5, "steps must be a list of numbers, not 5"),
        ("steps", (1, "x"), "steps must be a list of numbers, not (1, 'x')"),
    ],
)
def test_a_value_outside_of_the_range_is_refused_with_the_range(name, value, message):
    with pytest.raises(BadHyperparameter) as raised:
        DECLARED[name].check(value)
    assert (str(raised.value), raised.value.field) == (message, name)


def test_lowest_and_highest_of_a_whole_number_are_allowed_values():
    assert (DECLARED["count"].lowest, DECLARED["count"].highest) == (1, 9)
    assert (DECLARED["share"].lowest, DECLARED["share"].highest) == (0, 1)


def test_every_hyperparameter_allows_its_default_and_has_a_help_text():
    declared = hyperparameters_of(Hyperparameters)
    assert not [found.name for found in declared if not found.is_required and found.error_of(found.default)]
    assert not [found.name for found in declared if not found.help.endswith(".")]


def test_a_list_from_json_becomes_a_tuple():
    assert Hyperparameters(batch_size=1, lr_multistep_values=[1, 2]).lr_multistep_values == (1, 2)
