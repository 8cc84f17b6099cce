"""DIGITS's further addresses about datasets: a summary, a gallery, and an example of the resize modes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from django.http import HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.response import Response

from datasets.api.resize_example import resized_example
from datasets.api.serializers import side_field
from datasets.contents import gallery
from datasets.imagedb.images.formats import data_url
from datasets.models import Dataset, Encoding, ResizeMode
from datasets.sources.folder_source import SPLITS
from digits_project.accounts.roles import Role
from digits_project.api.browsable import PageResponse
from digits_project.api.digits_fields import DigitsField, anything
from digits_project.api.forms import Form
from digits_project.api.openapi import errors
from digits_project.api.renderers import wants_json
from digits_project.api.viewsets import FormViewSet
from digits_project.jobs.api.job_responses import MOVED
from digits_project.jobs.api.views import fetch

MAX_IMAGES = 500  # of a page of the gallery


class JobQueryForm(Form):
    """The query string that names a dataset."""

    job_id = serializers.CharField(max_length=100, help_text="The dataset's id.")


class ExploreForm(JobQueryForm):
    """The query string of the gallery, with DIGITS's names."""

    db = serializers.CharField(default="train", max_length=100, help_text="The split: train, val or test.")
    page = serializers.IntegerField(default=0, min_value=0, max_value=10**9, help_text="The page, from 0.")
    size = serializers.IntegerField(default=25, min_value=1, max_value=MAX_IMAGES, help_text="Images on a page.")

    def unordered_fields(self):
        text = "Only images of the category with this number, from 0."
        label = serializers.IntegerField(default=None, min_value=0, max_value=10**9, help_text=text)
        return super().unordered_fields() | {"label": label}  # as an attribute it would hide the serializer's own


class ResizeExampleForm(Form):
    """The form of POST /datasets/images/resize-example."""

    DIGITS_FIELDS = {"backend": DigitsField(anything)}  # the size does not depend on it here

    width = side_field(help_text="Width to which the picture is resized, in pixels.")
    height = side_field(help_text="Height to which the picture is resized, in pixels.")
    channels = serializers.ChoiceField([1, 3], default=3, help_text="3 for colour, 1 for grayscale.")
    resize_mode = serializers.ChoiceField(
        ResizeMode.values, default=ResizeMode.SQUASH.value, help_text="How the proportions of the picture change."
    )
    encoding = serializers.ChoiceField(
        Encoding.values, default=Encoding.PNG.value, help_text="How a record of the dataset holds the picture."
    )


class DatasetSummary(serializers.Serializer):
    """The facts of a dataset that DIGITS's model page shows."""

    id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.CharField()
    type = serializers.CharField()
    image_width = serializers.IntegerField()
    image_height = serializers.IntegerField()
    image_channels = serializers.IntegerField()
    resize_mode = serializers.CharField()
    encoding = serializers.CharField()
    categories = serializers.IntegerField(help_text="How many there are.")
    entries = serializers.DictField(child=serializers.IntegerField(), help_text="The images of each split.")


class GalleryImage(serializers.Serializer):
    """An image of the gallery."""

    b64 = serializers.CharField(help_text="The image as a data URL.")

    def get_fields(self):
        label = serializers.CharField(allow_null=True, help_text="The name of its category; null if it has none.")
        return {"label": label} | super().get_fields()


class ExploredImages(serializers.Serializer):
    """A page of the images of a split."""

    job_id = serializers.CharField()
    db = serializers.ChoiceField(SPLITS)
    page = serializers.IntegerField()
    size = serializers.IntegerField()
    total_entries = serializers.IntegerField(help_text="Images of the split, or of the category in it.")
    labels = serializers.ListField(child=serializers.CharField(), help_text="The names of all categories.")
    imgs = GalleryImage(many=True)

    def get_fields(self):
        # As an attribute it would hide the serializer's own `label`.
        label = serializers.IntegerField(allow_null=True, help_text="The number of the category, if one was asked for.")
        return super().get_fields() | {"label": label}


class ExampleImage(serializers.Serializer):
    """The example picture at the size of a dataset."""

    width = serializers.IntegerField()
    height = serializers.IntegerField()
    image = serializers.CharField(help_text="A data URL.")
    bytes = serializers.IntegerField(help_text="What the picture takes in a record.")


class DigitsDatasetViewSet(FormViewSet):
    """DIGITS's further addresses about datasets."""

    role = Role.VIEWER  # no action changes anything

    @extend_schema(responses={200: DatasetSummary, **errors(404)}, parameters=[JobQueryForm])
    def summary(self, request, format=None):
        """The facts of a dataset in short, as JSON or as a piece of a page."""
        dataset = fetch(Dataset, JobQueryForm.valid_values(request.query_params)["job_id"])
        return PageResponse(summary_json(dataset), "datasets/summary.html")

    @extend_schema(responses={200: ExploredImages, **errors(404, 409), **MOVED}, parameters=[ExploreForm])
    def explore(self, request, format=None):
        """The images of a split, or of one category in it. In a browser the page of the dataset's images has
        them."""
        asked = ExploreForm.valid_values(request.query_params)
        dataset = fetch(Dataset, asked["job_id"])
        if not wants_json(request):
            return HttpResponseRedirect(f"{reverse('dataset-images', args=[dataset.pk])}?{_query(**asked)}")
        try:
            return Response(explored_json(dataset, **asked))
        except gallery.NoSuchImage as unknown:
            raise NotFound(str(unknown)) from unknown

    @extend_schema(responses={200: ExampleImage, (200, "text/html"): OpenApiTypes.STR})
    def resize_example(self, request, format=None):
        """An example picture at the size of a dataset, and its bytes: as JSON or as a piece of a page."""
        form = self.valid_form(request.data).validated_data
        width, height = form["width"], form["height"]
        found = resized_example(width, height, form["channels"], form["resize_mode"], form["encoding"])
        if wants_json(request):
            return Response({"width": width, "height": height, "image": found.url, "bytes": found.bytes})
        return HttpResponse(
            format_html(
                '<img src="{}" style="width:{}px;height:{}px" />\n<br>\n<i>Image size: {}</i>',
                *(found.url, width, height, filesizeformat(found.bytes)),
            )
        )


def _query(job_id: str, db: str, page: int, size: int, label: int | None) -> str:
    """The query string of the page that has these images; its pages have a size of their own."""
    chosen = {"split": split_of(db), "category": label, "page": page * size // gallery.A_PAGE + 1}
    return urlencode({name: value for name, value in chosen.items() if value is not None})


def split_of(db: str) -> str:
    """The split that DIGITS's name of a database means: `train_db` is train."""
    return next((name for name in SPLITS if name in db.lower()), db)


def summary_json(dataset: Dataset) -> dict[str, Any]:
    """The response to GET /datasets/summary.json."""
    return {
        "id": dataset.pk,
        "name": dataset.name,
        "status": dataset.status,
        "type": dataset.TYPE,
        "image_width": dataset.resize_width,
        "image_height": dataset.resize_height,
        "image_channels": dataset.resize_channels,
        "resize_mode": dataset.resize_mode,
        "encoding": dataset.encoding,
        "categories": len(dataset.categories),
        "entries": {split["name"]: split["entries"] for split in dataset.splits},
    }


def explored_json(dataset: Dataset, job_id: str, db: str, page: int, size: int, label: int | None) -> dict[str, Any]:
    """The response to GET /datasets/images/classification/explore.json. Raises NoSuchImage or DamagedFile."""
    split = split_of(db)
    records = gallery.matching(dataset, split, label)
    shown = [int(record) for record in records[page * size : (page + 1) * size]]
    names = dataset.category_names
    numbers: Sequence[int] | np.ndarray = gallery.labels(dataset, split) if names else []
    return {
        "job_id": job_id,
        "db": split,
        "page": page,
        "size": size,
        "label": label,
        "total_entries": len(records),
        "labels": names,
        "imgs": [
            {
                "label": names[numbers[record]] if names else None,
                "b64": data_url(*gallery.image(dataset, split, record)),
            }
            for record in shown
        ],
    }
