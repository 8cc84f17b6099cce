"""method=shelf: a source of datasets that only tests register (added_source)."""

from pathlib import Path

from django.db import models
from rest_framework import serializers

from datasets import imagedb
from datasets.kinds import CLASSIFICATION
from datasets.sources import Source, SourceForm, register


class ShelfForm(SourceForm):
    shelf_number = serializers.IntegerField(min_value=1, required=False, help_text="Which shelf.")

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
    columns = {"shelf_number": models.PositiveIntegerField(default=1)}

    def spec(self, dataset):
        folder = imagedb.FolderSource(Path(f"/shelves/{dataset.shelf_number}"))
        return imagedb.Spec(folder, **dataset.image_options())


register(ShelfMethod())
