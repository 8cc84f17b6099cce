"""The resource of /api/v1 that compares two evaluations on the same images."""

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
from inference.api.disagreement_views import A_PAGE, DisputedImage, image_json, page_of
from inference.disagreements import Compared
from inference.judging.evaluation_pair import CanNotCompare, EvaluationPair
from inference.judging.proportions import CHI_SQUARED, EXACT, wilson
from models_app.results import Evaluation

DIGITS = 6  # of a share after the point


class PairQuery(Form):
    """The query string: the other evaluation, and which images."""

    HAS_FIXED_FIELDS = True

    other = serializers.CharField(max_length=100, help_text="The id of the evaluation b, on the same images.")
    only = serializers.ChoiceField(
        ["a", "b"], default=None, help_text="a or b: only images that this one alone classifies correctly."
    )
    page = serializers.IntegerField(default=1, min_value=1, max_value=10**6, help_text="The page, from 1.")
    page_size = serializers.IntegerField(default=A_PAGE, min_value=1, max_value=500, help_text="Images on a page.")


class ComparedEvaluation(serializers.Serializer):
    """One of the two evaluations."""

    evaluation_id = serializers.CharField()
    model_id = serializers.CharField()
    name = serializers.CharField(help_text="Of the model.")
    snapshot_epoch = serializers.FloatField()
    accuracy = serializers.FloatField(help_text="0 to 1")
    accuracy_interval = serializers.ListField(
        child=serializers.FloatField(), help_text="Its 95 % confidence interval (Wilson)."
    )


class McNemarFacts(serializers.Serializer):
    """McNemar's test of whether both are equally good."""

    method = serializers.ChoiceField(
        [EXACT, CHI_SQUARED],
        help_text="exact: the binomial distribution, if they differ on fewer than 25 images. chi-squared: with "
        "continuity correction.",
    )
    statistic = serializers.FloatField(allow_null=True, help_text="Chi-squared; null for the exact test.")
    p_value = serializers.FloatField(
        help_text="How often chance alone makes so large a difference, if both are equally good; 0 to 1."
    )


class CategoryDifferenceFacts(serializers.Serializer):
    """How both do on the images of a category."""

    category = serializers.CharField()
    images = serializers.IntegerField()
    a = serializers.FloatField(help_text="The share of them that a classifies correctly, 0 to 1.")
    b = serializers.FloatField(help_text="The same of b.")
    difference = serializers.FloatField(help_text="b minus a.")
    only_a_right = serializers.IntegerField()
    only_b_right = serializers.IntegerField()


class ComparisonFacts(serializers.Serializer):
    """Two evaluations on the same images: a, the one of the address, and b, the other. With a page of the images that
    only one of them classifies correctly, the surest error of the other first."""

    dataset_id = serializers.CharField()
    split = serializers.ChoiceField(Evaluation.Split.values)
    images = serializers.IntegerField()
    a = ComparedEvaluation()
    b = ComparedEvaluation()
    both_right = serializers.IntegerField()
    only_a_right = serializers.IntegerField()
    only_b_right = serializers.IntegerField()
    both_wrong = serializers.IntegerField()
    difference = serializers.FloatField(help_text="The accuracy of b minus that of a.")
    difference_interval = serializers.ListField(
        child=serializers.FloatField(), help_text="Its 95 % confidence interval (Agresti and Min)."
    )
    mcnemar = McNemarFacts()
    sentence = serializers.CharField(help_text="The result in words.")
    categories = CategoryDifferenceFacts(many=True, help_text="The largest difference first.")
    count = serializers.IntegerField(help_text="Of the images, on all pages.")
    pages = serializers.IntegerField()
    page = serializers.IntegerField()
    results = DisputedImage(many=True, help_text="`answers` has that of a, then that of b.")


class ComparisonViewSet(ViewSet):
    """Two evaluations on the same images."""

    renderer_classes = (PrettyJSONRenderer,)

    @extend_schema(responses={200: ComparisonFacts, **errors(409)}, parameters=[PairQuery])
    def retrieve(self, request, job_id):
        """What each of two evaluations gets right that the other doesn't, and whether that can be chance."""
        asked = PairQuery.valid_values(request.query_params)
        pair = pair_of(fetch(Evaluation, job_id), asked["other"])
        numbers = page_of(pair, asked["only"] or "", asked["page"], asked["page_size"])
        shown = {
            "count": numbers.paginator.count,
            "pages": numbers.paginator.num_pages,
            "page": numbers.number,
            "results": [image_json(pair.disagreements, pair.describe(record)) for record in map(int, numbers)],
        }
        return Response(without_paths(pair_json(pair) | shown))


def pair_of(evaluation: Evaluation, other: str) -> EvaluationPair:
    """The evaluation and that of the id `other`. Raises NotFound or Conflict."""
    try:
        return EvaluationPair(evaluation, fetch(Evaluation, other))
    except CanNotCompare as unable:
        raise Conflict(str(unable)) from unable


def pair_json(pair: EvaluationPair) -> dict[str, Any]:
    """The facts of a comparison, without its images."""
    counts = {name: getattr(pair, name) for name in ("both_right", "only_a_right", "only_b_right", "both_wrong")}
    return {
        "dataset_id": pair.dataset.pk,
        "split": pair.split,
        "images": pair.images,
        "a": _side(pair.a),
        "b": _side(pair.b),
        **counts,
        "difference": round(pair.difference, DIGITS),
        "difference_interval": [round(end, DIGITS) for end in pair.interval],
        "mcnemar": pair.test._asdict(),
        "sentence": pair.sentence,
        "categories": CategoryDifferenceFacts(pair.categories(), many=True).data,
    }


def _side(one: Compared) -> dict[str, Any]:
    right, images = int(one.given.right.sum()), len(one.given.right)
    return {
        "evaluation_id": one.evaluation.pk,
        "model_id": one.model.pk,
        "name": one.model.name,
        "snapshot_epoch": one.evaluation.epoch,
        "accuracy": round(right / images, DIGITS),
        "accuracy_interval": [round(end, DIGITS) for end in wilson(right, images)],
    }
