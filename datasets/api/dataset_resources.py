"""Datasets as resources of /api/v1."""

from typing import Any

from django.db.models import F, Func, IntegerField
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers

from datasets import revisions
from datasets.api.serializers import form_values
from datasets.models import Dataset, Encoding, ResizeMode
from datasets.sources.folder_source import SPLITS
from digits_project.api.openapi import errors
from digits_project.jobs import log_files
from digits_project.jobs.api.job_resources import (
    EVERY_CLASS,
    JobDetails,
    JobResource,
    ResourceFilter,
    ResourceViewSet,
    page_of,
)
from digits_project.jobs.visibility import visible

MAX_SKIPPED = 200  # skipped files in a response


class DatasetResource(JobResource):
    """A dataset in a list."""

    COLUMNS = (
        *JobResource.COLUMNS,
        *("kind", "method", "resize_width", "resize_height", "resize_channels", "resize_mode", "encoding", "splits"),
        "skipped",
    )

    kind = serializers.CharField(help_text="classification or generic.")
    method = serializers.CharField(help_text="Where its images come from, such as folder.")
    image_width = serializers.IntegerField(source="resize_width")
    image_height = serializers.IntegerField(source="resize_height")
    image_channels = serializers.IntegerField(source="resize_channels")
    resize_mode = serializers.ChoiceField(ResizeMode.values)
    encoding = serializers.ChoiceField(Encoding.values)
    images = serializers.SerializerMethodField(help_text="The number of images of each split.")
    category_count = serializers.SerializerMethodField()
    skipped = serializers.IntegerField(help_text="How many files were not used.")

    def get_images(self, dataset) -> dict[str, int]:
        return {split["name"]: split["entries"] for split in dataset.splits}

    def get_category_count(self, dataset) -> int:
        counted = getattr(dataset, "counted", None)  # of a list, which does not read the names
        return len(dataset.categories) if counted is None else counted


class CategoryCounts(serializers.Serializer):
    """A category, and its images in each split."""

    name = serializers.CharField()
    train = serializers.IntegerField()
    val = serializers.IntegerField()
    test = serializers.IntegerField()


class SkippedFiles(serializers.Serializer):
    """The files that were not used."""

    count = serializers.IntegerField()
    reasons = serializers.DictField(child=serializers.IntegerField(), help_text="The number for each reason.")
    files = serializers.ListField(
        child=serializers.CharField(), help_text=f"The path and the reason of the first {MAX_SKIPPED}."
    )


class RevisionCounts(serializers.Serializer):
    """How a revision differs from the dataset that it revises."""

    excluded = serializers.IntegerField(help_text="How many images were left out.")
    relabelled = serializers.IntegerField(help_text="How many images got another category.")


class DatasetDetails(DatasetResource, JobDetails):
    """A dataset with all its facts."""

    categories = serializers.SerializerMethodField(help_text="Empty for a generic dataset.")
    skipped_files = serializers.SerializerMethodField()
    copies = serializers.JSONField(help_text="Exact copies among the images; {} if there are none.")
    warnings = serializers.ListField(child=serializers.CharField())
    parent_id = serializers.SerializerMethodField(
        help_text="The dataset that this one revises, or is a fold of; null without one, or if it was deleted."
    )
    revision = serializers.SerializerMethodField(help_text="What was changed; null if it is no revision.")
    fold = serializers.IntegerField(allow_null=True, help_text="The number of the fold, from 1; null if it is none.")
    folds = serializers.IntegerField(allow_null=True, help_text="How many folds there are.")
    model_count = serializers.SerializerMethodField(help_text="How many models are trained on it.")
    settings = serializers.SerializerMethodField(help_text="The fields of the form that would create it again.")

    @extend_schema_field(CategoryCounts(many=True))
    def get_categories(self, dataset):
        counts = {split["name"]: split.get("per_category", []) for split in dataset.splits}
        return [
            {"name": name} | {split: counts[split][i] if i < len(counts.get(split, ())) else 0 for split in SPLITS}
            for i, name in enumerate(dataset.category_names)
        ]

    @extend_schema_field(SkippedFiles)
    def get_skipped_files(self, dataset):
        log = dataset.directory / "build.log"
        files = log_files.lines_starting_with(log, "skipped ", MAX_SKIPPED) if dataset.skipped else []
        return {"count": dataset.skipped, "reasons": dataset.skipped_reasons, "files": files}

    def get_parent_id(self, dataset) -> str | None:
        parent = revisions.seen_parent(dataset)
        return parent.pk if parent else None

    @extend_schema_field(RevisionCounts(allow_null=True))
    def get_revision(self, dataset):
        return {name: dataset.revision[name] for name in ("excluded", "relabelled")} if dataset.revision else None

    def get_model_count(self, dataset) -> int:
        return visible(dataset.trained_models.model).filter(dataset=dataset).count()

    def get_settings(self, dataset) -> dict[str, Any]:
        return form_values(dataset)


class DatasetFilter(ResourceFilter):
    """The query string of the list of datasets."""

    SORTS = EVERY_CLASS | {"disk": "disk_bytes"}


class DatasetResourceViewSet(ResourceViewSet):
    """Datasets."""

    job_class = Dataset
    filter_class = DatasetFilter
    row = DatasetResource
    whole = DatasetDetails

    def rows(self):
        count = Func(F("categories"), function="jsonb_array_length", output_field=IntegerField())
        return super().rows().annotate(counted=count)

    @extend_schema(responses={200: page_of(DatasetResource), **errors(404)}, parameters=[DatasetFilter])
    def list(self, request):
        """Datasets in pages, filtered and in an order."""
        return self.list_jobs(request)

    @extend_schema(responses={200: DatasetDetails})
    def retrieve(self, request, job_id):
        """A dataset with all its facts."""
        return self.describe(job_id)
