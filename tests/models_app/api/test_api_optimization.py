"""The fields of the model forms with which a training is tuned, and which DIGITS lacked."""

import pytest

from models_app.models import TrainedModel
from tests.support.api_requests import field_errors

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/classification.json"


@pytest.mark.parametrize(
    "fields, parameters",
    [
        ({"lr_policy": "cosine", "lr_cosine_end": 0.1}, {"lr_cosine_end": 0.1}),
        (
            {"lr_policy": "one_cycle", "lr_one_cycle_peak": 20},
            {"lr_one_cycle_peak": 20, "lr_one_cycle_start": 0.04, "lr_one_cycle_end": 0},
        ),
        ({"lr_policy": "plateau", "lr_plateau_gamma": 0.5}, {"lr_plateau_gamma": 0.5, "lr_plateau_patience": 3}),
    ],
)
def test_a_policy_is_stored_with_its_parameters_and_the_warm_up(client, form, fields, parameters):
    assert client.post(CREATE, form(**fields, lr_warmup=5)).status_code == 200
    model = TrainedModel.objects.get()
    assert (model.lr_policy, model.lr_parameters, model.lr_warmup) == (fields["lr_policy"], parameters, 5)
    assert model.policy().lr_warmup == 5


def test_a_form_without_a_warm_up_has_none(client, form):
    client.post(CREATE, form(lr_warmup=""))
    assert TrainedModel.objects.get().lr_warmup == 0


TUNED = {"solver_type": "ADAMW", "momentum": 0.8, "weight_decay": 0.05, "gradient_clip": 1.5, "ema": 0.999}


def test_the_fields_of_the_solver_are_stored(client, form):
    client.post(CREATE, form(**TUNED))
    model = TrainedModel.objects.get()
    assert {name: getattr(model, name) for name in TUNED} == TUNED


def test_blank_fields_of_the_solver_have_the_values_that_digits_used(client, form):
    client.post(CREATE, form(**dict.fromkeys(TUNED, "")))
    model = TrainedModel.objects.get()
    assert {name: getattr(model, name) for name in TUNED} == {
        "solver_type": "SGD", "momentum": 0.9, "weight_decay": 0.0005, "gradient_clip": 0, "ema": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("momentum", "1", "Ensure this value is less than 1."),
        ("weight_decay", "-1", "Ensure this value is greater than or equal to 0."),
        ("gradient_clip", "-1", "Ensure this value is greater than or equal to 0."),
        ("ema", "1", "Ensure this value is less than 1."),
        ("ema", "x", "A valid number is required."),
    ],
)
def test_a_field_of_the_solver_outside_of_its_range_is_refused(client, form, field, value, message):
    assert field_errors(client.post(CREATE, form(**{field: value}))) == {field: message}


def test_the_policy_plateau_needs_validations(client, form):
    errors = field_errors(client.post(CREATE, form(lr_policy="plateau", val_interval=0)))
    assert errors == {"lr_policy": "The policy plateau reads validations, but val_interval is 0, so there are none."}


def test_the_policy_plateau_needs_images_for_validation(client, form, built_dataset):
    type(built_dataset).objects.filter(pk=built_dataset.pk).update(splits=[{"name": "train", "entries": 5}])
    errors = field_errors(client.post(CREATE, form(lr_policy="plateau", dataset=built_dataset.pk)))
    message = "The policy plateau reads validations, but the dataset has no images for validation."
    assert errors == {"lr_policy": message}
