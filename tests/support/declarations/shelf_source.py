"""method=shelf, a source of datasets that added_source registers.

It is a module of its own because it can be imported only while Django loads the models.
"""

from pathlib import Path

from django.db import models
from rest_framework import serializers

from datasets import imagedb
from datasets.kinds import CLASSIFICATION
from datasets.sources import Source, SourceForm, register
from datasets.sources.source_fields import ServerFile
from digits_project.api.forms import MAX_PATH


class ShelfForm(SourceForm):
    shelf_number = serializers.IntegerField(min_value=1, required=False, help_text="Which shelf.")
    shelf_plan = ServerFile(default="", help_text="File of the server that says what is on the shelf.")

    def fields_for(self, data, fields):
        fields["shelf_number"].required = True
        return fields

    def wrong_together(self, values):
        return {"shelf_number": "The shelf 13 is empty."} if values.get("shelf_number") == 13 else {}


class ShelfMethod(Source):
    name = "shelf"
    label = "images on a shelf"
    description = "the number of a shelf"
    kind = CLASSIFICATION
    form = ShelfForm
    columns = {
        "shelf_number": models.PositiveIntegerField(default=1),
        "shelf_plan": models.CharField(max_length=MAX_PATH, blank=True),
    }
    paths = ("shelf_plan",)

    def spec(self, dataset):
        folder = imagedb.FolderSource(Path(f"/shelves/{dataset.shelf_number}"))
        return imagedb.Spec(folder, **dataset.image_options())


register(ShelfMethod())
