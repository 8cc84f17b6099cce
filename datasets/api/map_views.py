"""The map of a dataset's images, and the images that resemble one."""

from typing import Any

from django.utils.http import urlencode
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.serializers import CharField, IntegerField
from rest_framework.viewsets import ViewSet

from datasets import reports
from datasets.api.map_responses import MapFacts, SimilarFacts
from datasets.contents import gallery, revision_sections
from datasets.contents.image_map import ImageMap, NoMap
from datasets.models import Dataset
from digits_project.accounts.roles import Role
from digits_project.api.browsable import PageResponse
from digits_project.api.error_statuses import Conflict
from digits_project.api.forms import Form
from digits_project.api.openapi import errors
from digits_project.jobs.api.views import fetch

MAX_POINTS, MAX_SIMILAR = 20_000, 100
DEFAULT_POINTS, DEFAULT_SIMILAR = 5000, 12


class MapQuery(Form):
    """The query string of GET /datasets/<id>/report/map."""

    count = IntegerField(
        default=DEFAULT_POINTS,
        min_value=1,
        max_value=MAX_POINTS,
        help_text="How many images at most; of more, some at equal distances.",
    )
    category = IntegerField(
        default=None, min_value=0, max_value=2**31 - 1, help_text="The number of a category; empty: all."
    )


class SimilarQuery(Form):
    """The query string of GET /datasets/<id>/report/similar."""

    image = CharField(max_length=100, help_text="Split and number of the image: train/17.")
    count = IntegerField(default=DEFAULT_SIMILAR, min_value=1, max_value=MAX_SIMILAR, help_text="How many images.")

    def validate_image(self, value: str) -> tuple[str, int]:
        split, _, record = value.rpartition("/")
        if not split or not record.isascii() or not record.isdecimal() or len(record) > 9:
            raise serializers.ValidationError(f"{value} names no image; write its split and its number: train/17.")
        return split, int(record)


class MapViewSet(ViewSet):
    """Where the images of a dataset lie among one another, by the features that its report compared."""

    role = Role.USER
    serializer_class = None

    @extend_schema(responses={200: MapFacts, **errors(404, 409)}, parameters=[MapQuery])
    def map(self, request, job_id, format=None):
        """The map of a dataset's images: a place for each, where similar images lie together."""
        dataset, asked = fetch(Dataset, job_id), MapQuery.valid_values(request.query_params)
        found, category = _map_of(dataset), asked["category"]
        if category is not None and category >= len(found.categories):
            raise NotFound(_no_category(category, len(found.categories)))
        data = {"dataset_id": dataset.pk} | found.points(**asked)
        return PageResponse(data, "datasets/map.html", dataset=dataset, **_map_variables(dataset, found, data, asked))

    @extend_schema(responses={200: SimilarFacts, **errors(404, 409)}, parameters=[SimilarQuery])
    def similar(self, request, job_id, format=None):
        """The images of a dataset that resemble one of them the most."""
        dataset, asked = fetch(Dataset, job_id), SimilarQuery.valid_values(request.query_params)
        found, (split, record) = _map_of(dataset), asked["image"]
        try:
            image = found.image(split, record)
        except gallery.NoSuchImage as unknown:
            raise NotFound(str(unknown)) from unknown
        facts = {
            "dataset_id": dataset.pk,
            "image": image,
            "similar": found.similar(split, record, asked["count"]),
        }
        return PageResponse(
            facts, "datasets/similar.html", dataset=dataset, **_similar_variables(dataset, facts, asked)
        )


def _map_of(dataset: Dataset) -> ImageMap:
    """The map of a dataset. Raises NotFound without a report, Conflict without a map in it."""
    report = reports.find(dataset)
    if report is None:
        reason = reports.reason_against(dataset) or f"There is no report on {dataset.name} yet."
        raise NotFound(f"{reason} The map is a part of the report.")
    try:
        return ImageMap(report)
    except NoMap as reason:
        raise Conflict(str(reason)) from reason


def _no_category(category: int, count: int) -> str:
    there = f"its categories have the numbers 0 to {count - 1}" if count else "its images have no categories"
    return f"The dataset has no category {category}; {there}."


def _map_variables(dataset: Dataset, found: ImageMap, data: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """The variables of the template datasets/map.html."""
    rows, category = found.categories_as_judged(), asked["category"]
    given = {name: value for name, value in asked.items() if value is not None}
    can_show_more = data["shown"] < data["images"] and asked["count"] < MAX_POINTS
    return {
        "rows": rows,
        "judged": any(row["recognized"] is not None for row in rows),
        "query": urlencode(given),
        "all_address": f"?{urlencode(given | {'count': MAX_POINTS})}" if can_show_more else "",
        "max_points": min(MAX_POINTS, data["images"]),
        "one_category": found.categories[category] if category is not None else "",
        "version": gallery.version(dataset),
        "can_revise": not revision_sections.reason_against(dataset),
    }


def _similar_variables(dataset: Dataset, facts: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """The variables of the template datasets/similar.html."""
    rows = facts["similar"]
    is_full = len(rows) == asked["count"] < MAX_SIMILAR
    return {
        "version": gallery.version(dataset),
        "others": sum(row["other_category"] for row in rows),
        "strangers": sum(row["other_split"] for row in rows),
        "more": min(MAX_SIMILAR, 4 * asked["count"]) if is_full else 0,
    }
