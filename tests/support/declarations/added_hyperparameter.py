"""`python -m tests.support.declarations.added_hyperparameter`: declare one more hyperparameter, and print where it is.

The declaration comes before any import that reads the others, as if it stood among them in hyperparameters.py.
"""
# ruff: noqa: E402

import json
from dataclasses import dataclass

import django

from models_app.training import hyperparameters
from models_app.training.hyperparameter_declaration import hyperparameter


@dataclass(frozen=True)
class MoreHyperparameters(hyperparameters.Hyperparameters):
    sample_share: float = hyperparameter(0.0, minimum=0, below=1, help="The share of the images that a training takes.")


hyperparameters.Hyperparameters = MoreHyperparameters
django.setup()

from rest_framework.exceptions import ValidationError

from models_app.api.serializers import ClassificationModelForm, GenericModelForm
from models_app.management.commands.train_model import OPTIONS
from models_app.models import TrainedModel
from models_app.pages import comparison
from models_app.training.config import TrainConfig
from models_app.training.engines import EngineConfig
from tests.support.declarations.derived_declarations import missing_columns, schema_properties
from tests.support.samples.training_samples import softmax_network

NAME = "sample_share"


def field_error(value: str) -> str:
    try:
        ClassificationModelForm().fields[NAME].run_validation(value)
    except ValidationError as invalid:
        return str(invalid.detail[0])
    return ""


def configurations() -> list[float]:
    """The value of a row in the trainer's configuration, in that read from JSON, and in the engine's."""
    network, row = softmax_network(), TrainedModel(batch_size=4, sample_share=0.25)
    config = TrainConfig(
        network=network.to_dict(),
        train_records="train.rec",
        directory="job",
        labels_file="labels.txt",
        mean_file="mean.npy",
        **row.hyperparameters.values(),
    )
    engine = EngineConfig(network=network, mean=None, devices=config.devices, threads=1, seed=0, **config.values())
    return [each.sample_share for each in (config, TrainConfig.from_json(config.to_json()), engine)]


found = {
    "defaults": [form().defaults()[NAME] for form in (ClassificationModelForm, GenericModelForm)],
    "field_error": field_error("1"),
    "option": OPTIONS.names()[NAME],
    "is_compared": NAME in comparison.SETTINGS,
    "missing_columns": missing_columns(),
    "configurations": configurations(),
    "schema": schema_properties(NAME),
}
print(json.dumps(found))
