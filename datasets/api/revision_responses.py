"""The revisions of a dataset as JSON, and serializers of the responses for the schema."""

from typing import Any

from rest_framework import serializers

from datasets import revisions
from datasets.models import Dataset
from digits_project.jobs.api.job_responses import Created, created
from digits_project.jobs.models import Status


def revisions_json(dataset: Dataset) -> dict[str, Any]:
    """The response to GET /datasets/<id>/revisions.json."""
    parent = revisions.seen_parent(dataset)
    return {
        "dataset_id": dataset.pk,
        "parent_id": parent.pk if parent else None,
        "revisions": [revision_json(one) for one in revisions.revisions_of(dataset)],
    }


def revision_json(revision: Dataset) -> dict[str, Any]:
    """A revision in the list of a dataset's."""
    facts = {"id": revision.pk, "name": revision.name, "status": revision.status}
    return facts | {name: revision.revision[name] for name in ("excluded", "relabelled")}


def created_revision_json(revision: Dataset) -> dict[str, Any]:
    """The response to a create of a revision."""
    return created(revision, **{name: revision.revision[name] for name in ("parent_id", "excluded", "relabelled")})


class RevisionFacts(serializers.Serializer):
    """A revision of a dataset."""

    id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(Status.choices)
    excluded = serializers.IntegerField(help_text="How many images were left out.")
    relabelled = serializers.IntegerField(help_text="How many images got another category.")


class DatasetRevisions(serializers.Serializer):
    """The revisions of a dataset."""

    dataset_id = serializers.CharField()
    parent_id = serializers.CharField(
        allow_null=True, help_text="The dataset that this one revises; null without one, or if it was deleted."
    )
    revisions = RevisionFacts(many=True)


class CreatedRevision(Created):
    """A revision that a worker builds."""

    parent_id = serializers.CharField()
    excluded = serializers.IntegerField()
    relabelled = serializers.IntegerField()


class DifferingImage(serializers.Serializer):
    """An image that one of the datasets lacks."""

    image = serializers.CharField(help_text="Such as train/17, in the dataset that has it.")
    path = serializers.CharField(allow_blank=True, help_text="The file that it was made of; empty if unknown.")
    category = serializers.CharField()


class RelabelledImage(serializers.Serializer):
    """An image with another category; the schema's names `from` and `to` are those of its categories."""

    image = serializers.CharField(help_text="Such as train/17, in the dataset before.")
    path = serializers.CharField(allow_blank=True, help_text="The file that it was made of; empty if unknown.")
    to = serializers.CharField(help_text="Its category after.")

    def get_fields(self):
        # `from` can't be an attribute.
        return super().get_fields() | {"from": serializers.CharField(help_text="Its category before.")}


class DifferingCategory(serializers.Serializer):
    """A category, and its images in each split."""

    category = serializers.CharField()
    before = serializers.DictField(child=serializers.IntegerField())
    after = serializers.DictField(child=serializers.IntegerField())


class RevisionDifference(serializers.Serializer):
    """What a dataset differs in from another revision of the same images."""

    dataset_id = serializers.CharField()
    before_id = serializers.CharField(help_text="The dataset before.")
    before_name = serializers.CharField()
    excluded = DifferingImage(many=True, help_text="The images that this dataset lacks.")
    added = DifferingImage(many=True, help_text="The images that the dataset before lacks.")
    relabelled = RelabelledImage(many=True)
    categories = DifferingCategory(many=True)
