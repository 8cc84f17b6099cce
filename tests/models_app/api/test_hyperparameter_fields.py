"""Form fields that derive from declarations of hyperparameters."""

import pytest
from rest_framework.exceptions import ValidationError

from models_app.api.hyperparameter_fields import form_fields
from models_app.training.hyperparameter_declaration import Hyperparameter


def field_of(kind, default=None, **facts):
    declared = Hyperparameter("x", kind, default, is_optional=False, help="", wire_name="x", **facts)
    return form_fields([declared])["x"]


@pytest.mark.parametrize(
    "kind, facts, sent, expected",
    [
        (float, {}, "-2.5", -2.5),
        (float, {"above": 1, "below": 2}, "1.5", 1.5),
        (float, {"above": 0, "maximum": 9}, "9", 9),
        (float, {"above": 0, "maximum": 9, "whole": True}, "9", 9),
        (int, {"above": 0, "below": 10}, "9", 9),
        (bool, {}, "y", True),
        (str, {"choices": ("red", "blue")}, "blue", "blue"),
        (tuple, {}, "1,2.5", [1, 2.5]),
        (float, {"several": True, "minimum": 0}, "0,1", [0, 1]),
        (int, {"several": True, "minimum": 1}, "3", [3]),
    ],
)
def test_a_form_field_takes_the_values_in_its_range(kind, facts, sent, expected):
    assert field_of(kind, **facts).run_validation(sent) == expected


@pytest.mark.parametrize(
    "kind, facts, sent, message",
    [
        (float, {}, "1e31", "Ensure this value is less than or equal to 1e+30."),
        (float, {}, "-1e31", "Ensure this value is greater than or equal to -1e+30."),
        (float, {"above": 1, "below": 2}, "1", "Ensure this value is greater than 1."),
        (float, {"above": 1, "below": 2}, "2", "Ensure this value is less than 2."),
        (float, {"above": 1, "below": 2}, "3", "Ensure this value is less than or equal to 2."),
        (float, {"above": 0, "maximum": 9}, "0", "This must be above 0."),
        (float, {"above": 0, "maximum": 9}, "9.5", "Ensure this value is less than or equal to 9."),
        (float, {"above": 0, "whole": True}, "0", "Ensure this value is greater than or equal to 1."),
        (float, {"above": 0, "whole": True}, "1.5", "A valid integer is required."),
        (int, {"above": 0, "below": 10}, "10", "Ensure this value is less than or equal to 9."),
    ],
)
def test_a_form_field_refuses_a_value_outside_of_its_range(kind, facts, sent, message):
    with pytest.raises(ValidationError) as raised:
        field_of(kind, **facts).run_validation(sent)
    assert [str(error) for error in raised.value.detail] == [message]


def test_a_hyperparameter_without_a_default_can_be_left_out_of_a_form():
    assert field_of(int, several=True).get_default() is None


def test_a_flag_that_is_on_by_default_stays_on_if_it_is_left_out():
    assert field_of(bool, default=True).run_validation() is True
