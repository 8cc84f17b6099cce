"""`python -m tests.support.added_source`: register one more source of datasets, and print as JSON where it is found.

It is registered before the model of datasets is loaded, as if its module stood in datasets/sources/.
"""
# ruff: noqa: E402

import json
from importlib import import_module

import django
from django.conf import settings

from datasets.apps import DatasetsConfig


class WithShelves(DatasetsConfig):
    def import_models(self):
        import_module("tests.support.shelf_source")
        super().import_models()


settings.INSTALLED_APPS = [f"{__name__}.WithShelves" if app == "datasets" else app for app in settings.INSTALLED_APPS]
django.setup()

from django.apps import apps
from django.contrib import admin
from django.core.management import load_command_class
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from drf_spectacular.generators import SchemaGenerator

from datasets.api.serializers import ClassificationDatasetForm, GenericDatasetForm, form_of
from datasets.kinds import CLASSIFICATION
from datasets.models import Dataset

NAME, PATH = "shelf_number", "shelf_plan"


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


def complaints(**fields) -> dict:
    form = form_of("shelf")(data={"dataset_name": "d", "method": "shelf", **fields})
    form.is_valid()
    return form.errors


def taken() -> dict:
    """The columns and the engine's folder of a valid form, which also has a field of another source."""
    form = form_of("shelf")(data={"dataset_name": "d", "method": "shelf", NAME: "7", "folder_train": "/nowhere"})
    form.is_valid(raise_exception=True)
    dataset = Dataset(**form.validated_data)
    return {"method": dataset.method, NAME: dataset.shelf_number, "folder": str(dataset.spec().train.folder)}


def schema_properties() -> dict:
    schemas = SchemaGenerator().get_schema(public=True)["components"]["schemas"]
    properties = {name: schema.get("properties", {}) for name, schema in schemas.items()}
    return {name: described[NAME] for name, described in properties.items() if NAME in described}


def page_widgets() -> dict[str, str]:
    """The widget of each of its fields on the page that creates datasets."""
    fields = admin.site.get_model_admin(Dataset).shown_fields(CLASSIFICATION, {}, {})
    return {field.name: field.widget for field in fields if field.name in (NAME, PATH)}


command = load_command_class("datasets", "create_dataset")
parser = command.create_parser("manage.py", "create_dataset")
found = {
    "forms": [NAME in form().fields for form in (ClassificationDatasetForm, GenericDatasetForm)],
    "method": list(ClassificationDatasetForm().fields["method"].choices),
    "described": "shelf: the number of a shelf." in ClassificationDatasetForm().fields["method"].help_text,
    "missing": complaints(),
    "wrong": complaints(shelf_number="0"),
    "wrong_together": complaints(shelf_number="13"),
    "taken": taken(),
    "option": parser.parse_args(["d", "--method", "shelf", "--shelf-number", "2"]).shelf_number,
    "path_option": "--shelf-plan PATH" in parser.format_help(),
    "command_help": "shelf: the number of a shelf." in command.help,
    "widgets": page_widgets(),
    "page": admin.site.get_model_admin(Dataset).belongs(NAME),
    "missing_columns": missing_columns(),
    "schema": schema_properties(),
}
print(json.dumps(found))
