"""Forms, columns and configurations derive from the declarations of hyperparameters."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from django.core.exceptions import ValidationError
from django.db import models

from models_app.hyperparameter_columns import IN_COLUMNS, column
from models_app.models import TrainedModel
from models_app.training.engines import ENGINES
from models_app.training.hyperparameter_declaration import Hyperparameter
from models_app.training_task import train_config
from tests.support.samples.engine_samples import SECOND

# A value of each hyperparameter that differs from its default.
SAMPLES = {
    "learning_rate": 0.25, "lr_policy": "poly", "lr_parameters": {"lr_poly_power": 2.0}, "use_mean": "pixel",
    "train_epochs": 3, "snapshot_interval": 0.5, "val_interval": 1.5, "early_stop_patience": 4, "keep_snapshots": 5,
    "balance_classes": True, "random_seed": 2**32 - 1, "batch_size": 7, "batch_accumulation": 8,
    "solver_type": "RMSPROP", "rms_decay": 0.75, "lr_warmup": 5.5,
    "momentum": 0.8, "weight_decay": 0.25, "gradient_clip": 1.5, "ema": 0.99,
    "precision": "fp32", "deterministic": True, "compile_network": True,
    "train_layers": "blocks", "head_epochs": 0.5, "trained_blocks": 2, "backbone_lr_factor": 0.1,
    "freeze_batch_norm": True, "feature_views": 0,
    "aug_flip": "flipud", "aug_quad_rot": "rotall", "aug_rot": 30, "aug_scale": 0.07, "aug_noise": 0.03,
    "aug_contrast": 0.8, "aug_whitening": True, "aug_hsv_use": True, "aug_hsv_h": 0.1, "aug_hsv_s": 0.2,
    "aug_hsv_v": 0.3, "aug_crop_scale": 0.25, "aug_crop_ratio": 1.5, "aug_policy": "trivialaugment",
    "aug_magnitude": 5, "random_erasing": 0.25, "mixup": 0.2, "cutmix": 1, "label_smoothing": 0.1,
}  # fmt: skip
WEIGHTS = {"method": "pretrained", "standard_network": "efficientnet_lite0", "packaged_weights": "efficientnet_lite0"}


@pytest.mark.slow(3)
def test_one_declaration_adds_a_hyperparameter_everywhere():
    program = [sys.executable, "-m", "tests.support.declarations.added_hyperparameter"]
    found = json.loads(subprocess.run(program, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert found.pop("schema") == {
        name: {
            "oneOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^[-+.0-9e]+(\.\.[-+.0-9e]+( log)?|(,[-+.0-9e]+)+)$"},
            ],
            "default": 0.0,
            "description": "The share of the images that a training takes.",
        }
        for name in ("ClassificationModelForm", "GenericModelForm")
    }
    assert found == {
        "defaults": [0.0, 0.0],
        "field_error": "Ensure this value is less than 1.",
        "option": "--sample-share",
        "is_compared": True,
        "missing_columns": ["Add field sample_share to trainedmodel"],
        "configurations": [0.25, 0.25, 0.25],
    }


@pytest.fixture
def able_engine(monkeypatch):
    """An engine that is installed and can do what MXNet can't: it compiles networks."""
    monkeypatch.setitem(ENGINES, "second", replace(SECOND, unsupported={}))


@pytest.mark.django_db
def test_every_hyperparameter_of_a_row_reaches_the_trainer(able_engine, cpu, make_built, make_model):
    model = make_model(make_built(resize_channels=3), **SAMPLES, **WEIGHTS)
    model.refresh_from_db()
    values = train_config(model, [cpu]).values()
    expected = SAMPLES | SAMPLES["lr_parameters"]
    names = {declared.name: declared.wire_name for declared in IN_COLUMNS} | {"lr_poly_power": "lr_poly_power"}
    assert {name: values[name] for name in names} == {name: expected[column] for name, column in names.items()}


def test_every_sample_of_a_hyperparameter_differs_from_its_default():
    assert set(SAMPLES) == {declared.wire_name for declared in IN_COLUMNS} | {"lr_parameters"}
    assert not [declared.name for declared in IN_COLUMNS if SAMPLES[declared.wire_name] == declared.default]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields, message",
    [
        ({"rms_decay": 1}, "rms_decay must be a number from 0 and below 1, not 1.0"),
        ({"rms_decay": 1.5}, "Ensure this value is less than or equal to 1."),
        ({"learning_rate": 0}, "learning_rate must be a number above 0, not 0.0"),
        ({"train_epochs": 0}, "Ensure this value is greater than or equal to 1."),
        ({"batch_size": 100_001}, "Ensure this value is less than or equal to 100000."),
        ({"snapshot_interval": -1}, "Ensure this value is greater than or equal to 0."),
    ],
)
def test_a_row_with_a_hyperparameter_outside_of_its_range_is_refused(built_dataset, make_model, fields, message):
    with pytest.raises(ValidationError) as raised:
        make_model(built_dataset, **fields)
    assert raised.value.message_dict == {name: [message] for name in fields}


@pytest.mark.parametrize(
    "kind, facts, expected",
    [
        (int, {}, models.IntegerField),
        (int, {"minimum": -1}, models.IntegerField),
        (int, {"minimum": 0}, models.PositiveIntegerField),
        (int, {"above": 0, "maximum": 2**31}, models.PositiveBigIntegerField),
        (float, {"minimum": 1, "whole": True}, models.PositiveIntegerField),
        (float, {}, models.FloatField),
        (bool, {}, models.BooleanField),
        (tuple, {}, models.JSONField),
        (str, {"choices": ("a", "b")}, models.CharField),
    ],
)
def test_a_column_has_the_field_class_of_its_values(kind, facts, expected):
    declared = Hyperparameter("x", kind, default=None, is_optional=True, help="", wire_name="x", **facts)
    assert type(column(declared)) is expected


def test_the_class_of_models_has_no_values_of_hyperparameters():
    assert not hasattr(TrainedModel, "hyperparameters")


def test_the_columns_have_the_types_of_their_hyperparameters():
    declared = {each.wire_name: each.type | None if each.is_optional else each.type for each in IN_COLUMNS}
    named = {name: hint for name, hint in TrainedModel.__annotations__.items() if name != "lr_parameters"}
    assert named == {name: declared.get(name) for name in named}
    assert "val_interval" in named
