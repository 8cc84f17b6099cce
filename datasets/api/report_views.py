"""The report of a dataset: its figures, its findings, and the request to make it."""

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.serializers import ChoiceField, IntegerField

from datasets import reports
from datasets.api.report_responses import CreatedReport, ReportFacts, created_report_json, report_json
from datasets.contents.report_sections import page_variables
from datasets.models import Dataset, DatasetReport
from datasets.report.findings import KINDS
from digits_project.accounts import permissions
from digits_project.accounts.viewer import kept_for_user
from digits_project.api.browsable import PageResponse
from digits_project.api.error_statuses import Conflict
from digits_project.api.forms import Form
from digits_project.api.openapi import errors
from digits_project.jobs.api.views import WITHOUT_PAGE, CreateViewSet, fetch

CSV = "text/csv"


class ReportForm(Form):
    """The form of POST /datasets/<id>/report, which has no fields."""


class StoredReportForm(Form):
    """The query string of GET /datasets/<id>/report."""

    finding = ChoiceField(KINDS, default=None, help_text="Only findings of this kind; empty: the first of each kind.")
    page = IntegerField(
        default=1, min_value=1, max_value=10_000, help_text=f"The page of the findings, {reports.A_PAGE} each, from 1."
    )


class ReportViewSet(CreateViewSet[DatasetReport]):
    """What spoils a dataset: copies, unusual images, wrong labels, and categories with few images."""

    serializer_class = ReportForm
    button = "Make the report"

    @extend_schema(responses={200: ReportFacts}, parameters=[StoredReportForm])
    def retrieve(self, request, job_id, format=None):
        """The report on a dataset; until it is Done, only its status.

        It is made after the build, or after a POST to this address."""
        dataset = fetch(Dataset, job_id)
        asked = StoredReportForm.valid_values(request.query_params)
        report = reports.find(dataset)
        in_json = request.accepted_renderer.format == "json"
        if report is None and in_json:
            raise NotFound(reports.missing(dataset))
        if report is None:
            reason = reports.reason_against(dataset)
            return PageResponse({}, "datasets/no_report.html", dataset=dataset, reason=reason)
        facts = report_json(report, asked["finding"], asked["page"])
        shown = page_variables(report, asked) | {"may_change": permissions.may_change(request, report)}
        return PageResponse(facts, "datasets/report.html", dataset=dataset, **shown)

    @extend_schema(responses={200: CreatedReport, **errors(409, 429, 507)})
    def create(self, request, format=None, **names):
        """Start the report on a dataset, which a worker makes. One that exists or is being made is returned
        instead."""
        self.dataset = fetch(Dataset, names["job_id"])
        return super().create(request, format)

    def make_jobs(self, owner, **fields):
        try:
            return [reports.start(self.dataset, owner)]
        except reports.CanNotReport as unable:
            raise Conflict(str(unable)) from unable

    def describe(self, job):
        return created_report_json(job)

    @extend_schema(responses={(200, CSV): OpenApiTypes.STR})
    @action(detail=True, name="Report File", **WITHOUT_PAGE)
    def as_csv(self, request, job_id):
        """The findings as CSV, one image of a finding a line."""
        report = reports.find(fetch(Dataset, job_id))
        if report is None:
            raise NotFound(reports.missing(fetch(Dataset, job_id)))
        named = {"Content-Disposition": f'attachment; filename="{job_id}_report.csv"'}
        lines = kept_for_user(reports.csv_lines(report))
        return StreamingHttpResponse(lines, content_type=f"{CSV}; charset=utf-8", headers=named)
