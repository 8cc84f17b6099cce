"""Pretrained models, searches and evaluations as resources of /api/v1."""

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers

from digits_project.api.openapi import errors
from digits_project.jobs.api.job_resources import (
    EVERY_CLASS,
    JobDetails,
    JobResource,
    ResourceFilter,
    ResourceViewSet,
    page_of,
)
from models_app.api.search_views import FoldFacts, RankedTrial, fold_json, standing_json
from models_app.pretrained.pretrained_model import PretrainedModel
from models_app.results import Evaluation
from models_app.search.search_job import PRUNERS, Search
from models_app.search.trials import leaderboard


class PretrainedResource(JobResource):
    """A pretrained model in a list."""

    COLUMNS = (*JobResource.COLUMNS, "standard_network", "categories", "source")

    network = serializers.CharField(source="standard_network", help_text="Empty if it is not a standard network.")
    category_count = serializers.IntegerField(source="categories")
    made_from = serializers.CharField(source="source", help_text="The file, the archive or the snapshot.")


class PretrainedDetails(PretrainedResource, JobDetails):
    """A pretrained model with all its facts."""

    network = serializers.CharField(source="network_name")
    labels = serializers.ListField(child=serializers.CharField(), help_text="Empty if they are not known.")
    taken_over = serializers.ListField(child=serializers.CharField(), help_text="Layers that have weights.")
    afresh = serializers.ListField(child=serializers.CharField(), help_text="Layers that have none.")
    warnings = serializers.ListField(child=serializers.CharField())


class SearchResource(JobResource):
    """A search in a list."""

    COLUMNS = (*JobResource.COLUMNS, "dataset", "search_trials", "search_minutes", "search_pruner", "folds")

    dataset_id = serializers.CharField()
    search_trials = serializers.IntegerField(allow_null=True)
    search_minutes = serializers.FloatField(allow_null=True)
    search_pruner = serializers.ChoiceField(PRUNERS)
    folds = serializers.IntegerField(help_text="0 unless it is a k-fold.")


class SearchDetails(SearchResource, JobDetails):
    """A search with all its facts."""

    space = serializers.SerializerMethodField(help_text="What each hyperparameter is chosen from.")
    fold_figures = serializers.SerializerMethodField(help_text="The result of a k-fold; null without folds.")
    leaderboard = serializers.SerializerMethodField(help_text="The trials, the best first.")

    def get_space(self, search) -> dict[str, str]:
        return {name: str(dimension) for name, dimension in search.dimensions.items()}

    @extend_schema_field(FoldFacts(allow_null=True))
    def get_fold_figures(self, search):
        return fold_json(search, leaderboard(search)) if search.folds else None

    @extend_schema_field(RankedTrial(many=True))
    def get_leaderboard(self, search):
        return [standing_json(standing) for standing in leaderboard(search)]


class EvaluationResource(JobResource):
    """An evaluation in a list."""

    COLUMNS = (*JobResource.COLUMNS, "images", "accuracy", "top_5_accuracy", "loss", "calibration_error")

    model_id = serializers.CharField(source="trained_model_id")
    snapshot_epoch = serializers.FloatField(source="epoch")
    split = serializers.ChoiceField(Evaluation.Split.values)
    images = serializers.IntegerField(allow_null=True)
    accuracy = serializers.FloatField(allow_null=True, help_text="0 to 1; null until it is Done, as what follows.")
    top_5_accuracy = serializers.FloatField(allow_null=True)
    loss = serializers.FloatField(allow_null=True)
    calibration_error = serializers.FloatField(allow_null=True)


class CalibrationBinFacts(serializers.Serializer):
    """The images whose confidence is in one of the bins."""

    images = serializers.IntegerField()
    accuracy = serializers.FloatField(allow_null=True, help_text="What share of them is right; null without images.")
    confidence = serializers.FloatField(allow_null=True, help_text="Their mean confidence, 0 to 1.")


class CoveragePointFacts(serializers.Serializer):
    """What a model answers if its confidence, calibrated, must reach a threshold."""

    threshold = serializers.FloatField(help_text="0 to 1")
    answered = serializers.FloatField(help_text="The share of the images that reach it, 0 to 1.")
    accuracy = serializers.FloatField(allow_null=True, help_text="What share of these is right; null without images.")


class EvaluationDetails(EvaluationResource, JobDetails):
    """An evaluation with all its facts; GET /models/<id>/evaluation.json has the figures of each category."""

    calibration = CalibrationBinFacts(
        many=True, help_text="Fifteen bins of the confidence; empty for evaluations of earlier versions."
    )
    temperature = serializers.FloatField(
        allow_null=True, help_text="With it `classify_one` calibrates confidences; null for earlier versions."
    )
    calibrated_error = serializers.FloatField(allow_null=True, help_text="The calibration error then, 0 to 1.")
    risk_coverage = CoveragePointFacts(
        many=True, help_text="By threshold, the lowest first; empty for evaluations of earlier versions."
    )
    unsure_below = serializers.FloatField(
        allow_null=True,
        help_text="The threshold below which `classify_one` calls an answer unsure; null for earlier versions.",
    )


class EvaluationFilter(ResourceFilter):
    """The query string of the list of evaluations."""

    SORTS = EVERY_CLASS | {"accuracy": "accuracy"}

    model = serializers.CharField(default="", max_length=100, help_text="The id of the model.")

    def filtered(self, jobs):
        model = self.validated_data["model"]
        return super().filtered(jobs.filter(trained_model=model) if model else jobs)


class PretrainedResourceViewSet(ResourceViewSet):
    """Pretrained models."""

    job_class = PretrainedModel
    row = PretrainedResource
    whole = PretrainedDetails

    @extend_schema(responses={200: page_of(PretrainedResource), **errors(404)}, parameters=[ResourceFilter])
    def list(self, request):
        """Pretrained models in pages, filtered and in an order."""
        return self.list_jobs(request)

    @extend_schema(responses={200: PretrainedDetails})
    def retrieve(self, request, job_id):
        """A pretrained model with all its facts."""
        return self.describe(job_id)


class SearchResourceViewSet(ResourceViewSet):
    """Searches."""

    job_class = Search
    row = SearchResource
    whole = SearchDetails

    @extend_schema(responses={200: page_of(SearchResource), **errors(404)}, parameters=[ResourceFilter])
    def list(self, request):
        """Searches in pages, filtered and in an order."""
        return self.list_jobs(request)

    @extend_schema(responses={200: SearchDetails})
    def retrieve(self, request, job_id):
        """A search with its trials."""
        return self.describe(job_id)


class EvaluationResourceViewSet(ResourceViewSet):
    """Evaluations."""

    job_class = Evaluation
    filter_class = EvaluationFilter
    row = EvaluationResource
    whole = EvaluationDetails

    @extend_schema(responses={200: page_of(EvaluationResource), **errors(404)}, parameters=[EvaluationFilter])
    def list(self, request):
        """Evaluations in pages, filtered and in an order."""
        return self.list_jobs(request)

    @extend_schema(responses={200: EvaluationDetails})
    def retrieve(self, request, job_id):
        """An evaluation with its figures."""
        return self.describe(job_id)
