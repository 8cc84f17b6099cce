"""`python -m tests.support.added_hyperparameter`: declare one more hyperparameter, and print as JSON where it is found.

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
    label_smoothing: float = hyperparameter(
        0.0, minimum=0, below=1, help="The share of a label that goes to the other categories."
    )


hyperparameters.Hyperparameters = MoreHyperparameters
django.setup()

from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from drf_spectacular.generators import SchemaGenerator
from rest_framework.exceptions import ValidationError

from models_app.admin import comparison
from models_app.api.serializers import ClassificationModelForm, GenericModelForm
from models_app.management.commands.train_model import OPTIONS
from models_app.models import TrainedModel
from models_app.training.config import TrainConfig
from models_app.training.engines import EngineConfig
from tests.support.samples.training_samples import softmax_network

NAME = "label_smoothing"


def missing_columns() -> list[str]:
    """What `manage.py makemigrations` would write."""
    loader = MigrationLoader(None)
    found = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(loader.graph)
    return [
        operation.describe()
        for migrations in found.values()
        for migration in migrations
        for operation in migration.operations
    ]


def complaint(value: str) -> str:
    try:
        ClassificationModelForm().fields[NAME].run_validation(value)
    except ValidationError as invalid:
        return str(invalid.detail[0])
    return ""


def configurations() -> list[float]:
    """The value of a row in the trainer's configuration, in that read from JSON, and in the engine's."""
    network, row = softmax_network(), TrainedModel(batch_size=4, label_smoothing=0.25)
    config = TrainConfig(
        network=network.to_dict(),
        train_records="train.rec",
        directory="job",
        labels_file="labels.txt",
        mean_file="mean.npy",
        **row.hyperparameters.values(),
    )
    engine = EngineConfig(network=network, mean=None, devices=config.devices, threads=1, seed=0, **config.values())
    return [taken.label_smoothing for taken in (config, TrainConfig.from_json(config.to_json()), engine)]


def schema_properties() -> dict:
    schemas = SchemaGenerator().get_schema(public=True)["components"]["schemas"]
    properties = {name: schema.get("properties", {}) for name, schema in schemas.items()}
    return {name: described[NAME] for name, described in properties.items() if NAME in described}


found = {
    "defaults": [form().defaults()[NAME] for form in (ClassificationModelForm, GenericModelForm)],
    "complaint": complaint("1"),
    "option": OPTIONS.names()[NAME],
    "is_compared": NAME in comparison.SETTINGS,
    "missing_columns": missing_columns(),
    "configurations": configurations(),
    "schema": schema_properties(),
}
print(json.dumps(found))
