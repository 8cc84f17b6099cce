"""`python -m tests.support.declarations.added_source`: register one more source of datasets, and print where it is.

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
        import_module("tests.support.declarations.shelf_source")
        super().import_models()


settings.INSTALLED_APPS = [f"{__name__}.WithShelves" if app == "datasets" else app for app in settings.INSTALLED_APPS]
django.setup()

from django.contrib import admin
from django.core.management import load_command_class

from datasets.api.serializers import ClassificationDatasetForm, GenericDatasetForm, form_of
from datasets.kinds import CLASSIFICATION
from datasets.models import Dataset
from tests.support.declarations.derived_declarations import missing_columns, schema_properties

NAME, PATH = "shelf_number", "shelf_plan"


def field_errors(**fields) -> dict:
    form = form_of("shelf")(data={"dataset_name": "d", "method": "shelf", **fields})
    form.is_valid()
    return form.errors


def validated() -> dict:
    """The columns and the engine's folder of a valid form, which also has a field of another source."""
    form = form_of("shelf")(data={"dataset_name": "d", "method": "shelf", NAME: "7", "folder_train": "/nowhere"})
    form.is_valid(raise_exception=True)
    dataset = Dataset(**form.validated_data)
    return {"method": dataset.method, NAME: dataset.shelf_number, "folder": str(dataset.spec().train.folder)}


def page_widgets() -> dict[str, str]:
    """{field: widget} of the source's fields on the page that creates datasets."""
    fields = admin.site.get_model_admin(Dataset).shown_fields(CLASSIFICATION, {}, {})
    return {field.name: field.widget for field in fields if field.name in (NAME, PATH)}


command = load_command_class("datasets", "create_dataset")
parser = command.create_parser("manage.py", "create_dataset")
found = {
    "forms": [NAME in form().fields for form in (ClassificationDatasetForm, GenericDatasetForm)],
    "method": list(ClassificationDatasetForm().fields["method"].choices),
    "described": "shelf: the number of a shelf." in ClassificationDatasetForm().fields["method"].help_text,
    "missing": field_errors(),
    "wrong": field_errors(shelf_number="0"),
    "wrong_together": field_errors(shelf_number="13"),
    "validated": validated(),
    "option": parser.parse_args(["d", "--method", "shelf", "--shelf-number", "2"]).shelf_number,
    "path_option": "--shelf-plan PATH" in parser.format_help(),
    "command_help": "shelf: the number of a shelf." in command.help,
    "widgets": page_widgets(),
    "page": admin.site.get_model_admin(Dataset).belongs(NAME),
    "missing_columns": missing_columns(),
    "schema": schema_properties(NAME),
}
print(json.dumps(found))
