"""The resource of /api/v1 about the images on which models disagree."""

from typing import Any

from django.core.paginator import Paginator
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from datasets.contents import gallery
from digits_project.accounts.viewer import without_paths
from digits_project.api.error_statuses import Conflict
from digits_project.api.forms import Form
from digits_project.api.openapi import errors
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.common.errors import BadInput, DamagedFile
from digits_project.jobs.api.views import fetch
from digits_project.jobs.visibility import is_visible
from inference.disagreements import Count, Disagreement, Disagreements, disagreements
from inference.judging.evaluation_pair import EvaluationPair
from models_app.models import TrainedModel
from models_app.results import Evaluation

MAX_MODELS = 10
A_PAGE = 60


class DisagreementQuery(Form):
    """The query string: models, and which of their disagreements."""

    HAS_FIXED_FIELDS = True

    ids = serializers.CharField(max_length=1000, help_text="The ids of two to ten models, separated by commas.")
    split = serializers.ChoiceField(
        Evaluation.Split.values, default=None, help_text="Empty: the first of val and test that has images."
    )
    only = serializers.CharField(
        default="", max_length=100, help_text="The id of a model: only images that no other classifies correctly."
    )
    page = serializers.IntegerField(default=1, min_value=1, max_value=10**6, help_text="The page, from 1.")
    page_size = serializers.IntegerField(default=A_PAGE, min_value=1, max_value=500, help_text="Images on a page.")

    def models(self) -> list[TrainedModel]:
        """The models of the valid query. Raises NotFound or BadInput."""
        ids = list(dict.fromkeys(part.strip() for part in self.validated_data["ids"].split(",") if part.strip()))
        if not 2 <= len(ids) <= MAX_MODELS:
            raise BadInput(f"ids must name 2 to {MAX_MODELS} models.")
        return [fetch(TrainedModel, job_id) for job_id in ids]

    def disagreements(self) -> Disagreements:
        """What the models disagree on. Raises NotFound, BadInput or Conflict."""
        models = self.models()
        found = disagreements(models, self.validated_data["split"])
        if found is None:
            raise Conflict(f"The dataset of {models[0].name} has no images for val or test.")
        return found


class ComparedModel(serializers.Serializer):
    """A model whose answers are compared."""

    model_id = serializers.CharField(source="compared.model.pk")
    name = serializers.CharField(source="compared.model.name")
    snapshot_epoch = serializers.FloatField(source="compared.evaluation.epoch")
    right = serializers.IntegerField(help_text="Images that it classifies correctly.")
    only_right = serializers.IntegerField(help_text="Of these, those that no other model classifies correctly.")
    only_wrong = serializers.IntegerField(help_text="Images that it alone classifies wrongly.")


class NotCompared(serializers.Serializer):
    """A model that is left out."""

    model_id = serializers.CharField(source="model.pk")
    why = serializers.CharField()


class AnswerOfModel(serializers.Serializer):
    """What a model answered to an image."""

    model_id = serializers.CharField()
    category = serializers.CharField()
    confidence = serializers.FloatField(help_text="In percent.")
    is_right = serializers.BooleanField()


class DisputedImage(serializers.Serializer):
    """An image on which the models disagree."""

    record = serializers.IntegerField(help_text="The image's number in the split, from 0.")
    path = serializers.CharField(allow_blank=True, help_text="The file of the image.")
    category = serializers.CharField(help_text="The true category.")
    answers = AnswerOfModel(many=True)


@extend_schema_serializer(many=False)
class DisagreementFacts(serializers.Serializer):
    """A page of the images that some of the models classify correctly and others do not, the surest errors first."""

    dataset_id = serializers.CharField()
    split = serializers.ChoiceField(Evaluation.Split.values)
    images = serializers.IntegerField(help_text="Of the split.")
    all_right = serializers.IntegerField(help_text="Images that all models classify correctly.")
    none_right = serializers.IntegerField(help_text="Images that none classifies correctly.")
    models = ComparedModel(many=True)
    left_out = NotCompared(many=True)
    count = serializers.IntegerField(help_text="Of the disagreements, on all pages.")
    pages = serializers.IntegerField()
    page = serializers.IntegerField()
    results = DisputedImage(many=True)


class DisagreementViewSet(ViewSet):
    """The images on which models disagree."""

    renderer_classes = (PrettyJSONRenderer,)

    @extend_schema(responses={200: DisagreementFacts, **errors(404, 409)}, parameters=[DisagreementQuery])
    def list(self, request):
        """The images that some of these models, of one dataset, classify correctly and others do not."""
        query = DisagreementQuery.with_data(request.query_params)
        query.is_valid(raise_exception=True)
        found = query.disagreements()
        numbers = page_of(found, **{name: query.validated_data[name] for name in ("only", "page", "page_size")})
        facts = {
            "dataset_id": found.dataset.pk,
            **{name: getattr(found, name) for name in ("split", "images", "all_right", "none_right")},
            "models": ComparedModel(counts_of(found), many=True).data,
            "left_out": NotCompared(found.left_out, many=True).data,
            "count": numbers.paginator.count,
            "pages": numbers.paginator.num_pages,
            "page": numbers.number,
            "results": [image_json(found, found.describe(record)) for record in map(int, numbers)],
        }
        return Response(without_paths(facts))


def page_of(found: Disagreements | EvaluationPair, only: str, page: int, page_size: int) -> Any:
    """A page of the numbers of the images."""
    return Paginator(found.records(only), page_size).get_page(page)


def counts_of(found: Disagreements) -> list[Count]:
    """The counts of the models, if there is something to compare."""
    return found.counts() if len(found.compared) > 1 else []


def image_json(found: Disagreements, image: Disagreement) -> dict[str, Any]:
    ids = [one.model.pk for one in found.compared]
    answers = [
        {"model_id": model_id, "category": category, "confidence": round(percent, 2), "is_right": is_right}
        for model_id, (category, percent, is_right) in zip(ids, image.answers, strict=True)
    ]
    return {"record": image.record, "path": _path(found, image.record), "category": image.truth, "answers": answers}


def _path(found: Disagreements, record: int) -> str:
    if not is_visible(found.dataset):
        return ""
    try:
        return gallery.source_path(found.dataset, found.split, record)
    except DamagedFile:
        return ""
