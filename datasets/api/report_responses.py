"""The report of a dataset as JSON, and serializers of its responses for the schema."""

from typing import Any

from rest_framework import serializers

from datasets import reports
from datasets.models import DatasetReport
from datasets.report.findings import KINDS
from digits_project.jobs.api.job_responses import Created, JobFacts, created, describe_job
from digits_project.jobs.models import Status


def report_json(report: DatasetReport, kind: str | None = None, page: int = 1) -> dict[str, Any]:
    """The response to GET /datasets/<id>/report.json; figures and findings are there once the report is Done."""
    return describe_job(report, dataset_id=report.dataset_id, **_found(report, kind, page))


def created_report_json(report: DatasetReport) -> dict[str, Any]:
    """The response to a create of a report."""
    return created(report, dataset_id=report.dataset_id)


def _found(report: DatasetReport, kind: str | None, page: int) -> dict[str, Any]:
    if report.status != Status.DONE:
        return {}
    names = report.dataset.category_names
    categories = [row | {"category": names[row["category"]]} for row in report.summary["categories"]]
    kinds = [kind] if kind else reports.kinds_found(report)
    found = {name: reports.findings(report, name, page) for name in kinds}
    pages = {name: reports.pages(report, name) for name in kinds}
    marks = [mark | {"category": names[mark["category"]]} for mark in report.summary.get("marks", ())]
    return report.summary | {"categories": categories, "marks": marks, "findings": found, "page": page, "pages": pages}


class ReportedImage(serializers.Serializer):
    """An image of a finding."""

    split = serializers.CharField()
    record = serializers.IntegerField(help_text="The number of its record in the split, from 0.")
    category = serializers.CharField(allow_blank=True, help_text="Empty for a generic dataset.")
    path = serializers.CharField(allow_blank=True, help_text="The file that it was made of; empty if unknown.")


class ReportFinding(serializers.Serializer):
    """A group of copies, an unusual image, or an image whose label seems wrong."""

    images = ReportedImage(many=True, help_text="One image, or the copies of a picture, of which the first 100.")
    count = serializers.IntegerField(required=False, help_text="Of copies: how many there are.")
    conflict = serializers.BooleanField(required=False, help_text="Of copies: they are in more than one category.")
    leak = serializers.BooleanField(required=False, help_text="Of copies: they are in more than one split.")
    value = serializers.FloatField(required=False, help_text="Of an unusual image: the measure that is unusual.")
    likelier = serializers.CharField(required=False, help_text="Of a label that seems wrong: the likelier category.")
    probability = serializers.FloatField(required=False, min_value=0, max_value=1, help_text="Of that category.")
    of_label = serializers.FloatField(required=False, min_value=0, max_value=1, help_text="Of the category it has.")


class ReportedCategory(serializers.Serializer):
    """A category: its images in each split, how many of them are different pictures, and wrong labels."""

    category = serializers.CharField()
    images = serializers.DictField(child=serializers.IntegerField())
    distinct = serializers.DictField(child=serializers.IntegerField())
    label_errors = serializers.IntegerField()


class ReportedSplit(serializers.Serializer):
    """A split, and how many images it has."""

    split = serializers.CharField()
    images = serializers.IntegerField()


class ReportedMark(serializers.Serializer):
    """A part of the picture that nearly all images of a category have in common, and nearly none of the others."""

    category = serializers.CharField()
    share = serializers.FloatField(help_text="Of the images of the category that look the same there, 0 to 1.")
    of_others = serializers.FloatField(help_text="Of the other images that look like these there, 0 to 1.")
    box = serializers.ListField(
        child=serializers.FloatField(), min_length=4, max_length=4, help_text="Left, top, right and lower edge, 0 to 1."
    )


class ReportFacts(JobFacts):
    """The report of a dataset. All fields below `dataset_id` are absent until it is Done."""

    dataset_id = serializers.CharField()
    images = serializers.IntegerField(required=False)
    effective_images = serializers.IntegerField(required=False, help_text="Without further copies of a picture.")
    sentences = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="What was found, what hurts a training most first."
    )
    counts = serializers.DictField(
        child=serializers.IntegerField(),
        required=False,
        help_text="Of each kind: groups of copies, or images; `conflicts` and `leaks` are groups of copies too.",
    )
    categories = ReportedCategory(many=True, required=False)
    marks = ReportedMark(many=True, required=False, help_text="The clearest first.")
    probe_accuracy = serializers.FloatField(
        required=False, allow_null=True, help_text="Of the classifier that judged the labels; null without one."
    )
    network = serializers.CharField(
        required=False, allow_blank=True, help_text="Whose features were compared; empty: none is installed."
    )
    why_no_network = serializers.CharField(required=False, allow_blank=True)
    splits = ReportedSplit(many=True, required=False)
    format = serializers.IntegerField(required=False)
    seconds = serializers.FloatField(required=False, help_text="How long it took.")
    findings = serializers.DictField(
        child=ReportFinding(many=True), required=False, help_text=f"By kind: {', '.join(KINDS)}. The worst first."
    )
    page = serializers.IntegerField(required=False, help_text="Which page of the findings this is.")
    pages = serializers.DictField(
        child=serializers.IntegerField(), required=False, help_text="How many pages of each kind there are."
    )


class CreatedReport(Created):
    """A report that was started."""

    dataset_id = serializers.CharField()
