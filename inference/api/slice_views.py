"""The resource of /api/v1 about the slices of an evaluation."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from digits_project.accounts.viewer import without_paths
from digits_project.api.error_statuses import Conflict
from digits_project.api.forms import Form
from digits_project.api.openapi import errors
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.jobs.api.views import fetch
from inference.judging.image_columns import NAMES
from inference.judging.slices import CanNotSlice, ImageSlice, Slices, slices_of
from models_app.results import Evaluation

DIGITS = 6  # of a share after the point
WORST = 10


class SliceQuery(Form):
    """The query string: which columns."""

    HAS_FIXED_FIELDS = True

    column = serializers.ChoiceField(NAMES, default=None, help_text="Only this column; empty: all.")


class SliceFacts(serializers.Serializer):
    """Some of the images, and how many of them are classified correctly."""

    column = serializers.ChoiceField(NAMES)
    value = serializers.CharField(help_text="A text, such as a folder, or the numbers of the slice: `12 to 40`.")
    low = serializers.FloatField(allow_null=True, help_text="The lowest number in the slice; null for a text.")
    high = serializers.FloatField(allow_null=True)
    images = serializers.IntegerField()
    right = serializers.IntegerField()
    accuracy = serializers.FloatField(help_text="0 to 1")
    accuracy_interval = serializers.ListField(
        child=serializers.FloatField(), help_text="Its 95 % confidence interval (Wilson)."
    )
    is_worse = serializers.BooleanField(help_text="Whether the accuracy of all images is above the interval.")


class SlicedColumnFacts(serializers.Serializer):
    """The slices by one column."""

    column = serializers.ChoiceField(NAMES)
    slices = SliceFacts(many=True, help_text="The worst first.")
    left_off = serializers.IntegerField(help_text="Further slices, which are better.")
    why_none = serializers.CharField(allow_blank=True, help_text="Why there are no slices, in words.")


class AllSlices(serializers.Serializer):
    """The accuracy of an evaluation on parts of its images."""

    evaluation_id = serializers.CharField()
    split = serializers.ChoiceField(Evaluation.Split.values)
    images = serializers.IntegerField()
    accuracy = serializers.FloatField()
    worst = SliceFacts(many=True, help_text="The ten worst of all columns: the upper end of the interval counts.")
    columns = SlicedColumnFacts(many=True)


class SliceViewSet(ViewSet):
    """The slices of an evaluation."""

    renderer_classes = (PrettyJSONRenderer,)

    @extend_schema(responses={200: AllSlices, **errors(409)}, parameters=[SliceQuery])
    def retrieve(self, request, job_id):
        """The accuracy by category, source folder, size, brightness, contrast and sharpness of the images."""
        asked = SliceQuery.valid_values(request.query_params)
        evaluation = fetch(Evaluation, job_id)
        found = found_slices(evaluation)
        if asked["column"]:
            found = found._replace(columns=[one for one in found.columns if one.name == asked["column"]])
        facts = {
            "evaluation_id": evaluation.pk,
            "split": evaluation.split,
            "images": found.images,
            "accuracy": round(found.accuracy, DIGITS),
            "worst": [_slice_json(one) for one in found.worst()[:WORST]],
            "columns": [
                {
                    "column": column.name,
                    "slices": [_slice_json(one) for one in column.slices],
                    "left_off": column.left_off,
                    "why_none": column.why,
                }
                for column in found.columns
            ],
        }
        return Response(without_paths(facts))


def found_slices(evaluation: Evaluation) -> Slices:
    """The slices of an evaluation. Raises Conflict."""
    try:
        return slices_of(evaluation)
    except CanNotSlice as unable:
        raise Conflict(str(unable)) from unable


def _slice_json(one: ImageSlice) -> dict[str, Any]:
    return {
        "column": one.column,
        "value": one.value,
        "low": one.low,
        "high": one.high,
        "images": one.images,
        "right": one.right,
        "accuracy": round(one.accuracy, DIGITS),
        "accuracy_interval": [round(end, DIGITS) for end in one.interval],
        "is_worse": one.is_worse,
    }
