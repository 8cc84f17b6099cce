"""The resources of /api/v1: jobs of each class as JSON, in pages, with filters and an order. Each app adds its own."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet
from django.db.models.expressions import OrderBy
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from digits_project.accounts.viewer import limited_user, without_paths
from digits_project.api.forms import Flag, Form
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.api.viewsets import ignored_header
from digits_project.common.confined_files import shown
from digits_project.jobs import overview
from digits_project.jobs.api.views import fetch
from digits_project.jobs.models import LIST_ORDER, Device, Job, Status
from digits_project.jobs.sharing import shared_names
from digits_project.jobs.visibility import visible

MAX_TEXT = 255  # characters of a filter
EVERY_CLASS = {"name": "name", "status": "status", "owner": "owner", "group": "group_name", "created": "created_at"}


class ResourcePages(PageNumberPagination):
    """Pages of `page_size` jobs."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500


@extend_schema_field(OpenApiTypes.STR)
class StatusList(serializers.Field):
    """Statuses, separated by commas; the value is a list of them."""

    def to_internal_value(self, data):
        names = [name.strip().capitalize() for name in str(data).split(",") if name.strip()]
        if unknown := [name for name in names if name not in Status.values]:
            raise serializers.ValidationError(
                f"There is no status {shown(unknown[0])}; the statuses are {', '.join(Status.values)}."
            )
        return names

    def to_representation(self, value):
        return ",".join(value)


class ResourceFilter(Form):
    """The query string of a list: what it is filtered by, and its order."""

    HAS_FIXED_FIELDS = True
    SORTS: dict[str, str] = EVERY_CLASS  # {name: column}

    name = serializers.CharField(default="", max_length=MAX_TEXT, help_text="A part of the name, in any case.")
    status = StatusList(default=(), help_text="One or several statuses, separated by commas.")
    owner = serializers.CharField(default="", max_length=MAX_TEXT, help_text="The name of the owner.")
    group = serializers.CharField(default="", max_length=MAX_TEXT, help_text="The name of the group.")
    page = serializers.IntegerField(default=1, min_value=1, max_value=10**6, help_text="The page, from 1.")
    page_size = serializers.IntegerField(
        default=ResourcePages.page_size, min_value=1, max_value=ResourcePages.max_page_size, help_text="Jobs on a page."
    )

    def unordered_fields(self):
        names = [f"{sign}{name}" for name in self.SORTS for sign in ("", "-")]
        text = "The order; with - in front from the largest or newest. Empty: running jobs first, then the newest."
        return super().unordered_fields() | {"sort": serializers.ChoiceField(names, default=None, help_text=text)}

    def filtered(self, jobs: QuerySet) -> QuerySet:
        """The jobs that the valid query chooses, in its order."""
        chosen = self.validated_data
        exact = {"owner": chosen["owner"], "group_name": chosen["group"], "status__in": chosen["status"]}
        found = jobs.filter(**{column: value for column, value in exact.items() if value})
        if chosen["name"]:
            found = found.filter(name__icontains=chosen["name"])
        return found.order_by(*self._order(chosen["sort"]))

    def _order(self, sort: str | None) -> Sequence[Any]:
        if not sort:
            return LIST_ORDER
        column = F(self.SORTS[sort.lstrip("-")])
        return [OrderBy(column, descending=sort.startswith("-"), nulls_last=True), "pk"]


class QueueFacts(serializers.Serializer):
    """The place of a waiting job in its queue."""

    position = serializers.IntegerField(help_text="From 1.")
    reason = serializers.CharField(help_text="Why it waits.")


class JobResource(serializers.Serializer):
    """A job in a list."""

    id = serializers.CharField(source="pk")
    name = serializers.CharField()
    type = serializers.CharField(source="TYPE", help_text="The kind of job, such as `Image Classification Dataset`.")
    status = serializers.ChoiceField(Status.choices)
    progress = serializers.FloatField(min_value=0, max_value=1)
    seconds_left = serializers.SerializerMethodField(help_text="An estimate; null if the job does not run.")
    error = serializers.CharField(allow_blank=True)
    owner = serializers.CharField(allow_blank=True)
    group = serializers.CharField(source="group_name", allow_blank=True)
    priority = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    disk_bytes = serializers.IntegerField(allow_null=True, help_text="Of the job's folder; null: not measured yet.")

    COLUMNS: tuple[str, ...] = ("group_name", "error", "disk_bytes")  # besides Job.LISTED

    def get_seconds_left(self, job) -> float | None:
        left = overview.seconds_left(job)
        return None if left is None else round(left, 1)


class JobDetails(serializers.Serializer):
    """The further facts of a single job."""

    notes = serializers.CharField(allow_blank=True)
    directory = serializers.SerializerMethodField(help_text="Empty for users who may not see paths of the server.")
    shared_with = serializers.SerializerMethodField(help_text="Groups of accounts that can see it on a private server.")
    queue = serializers.SerializerMethodField(help_text="Null if the job does not wait.")
    devices = serializers.SerializerMethodField(help_text="The devices that the job holds.")

    def get_directory(self, job) -> str:
        return "" if limited_user() else str(job.directory)

    def get_shared_with(self, job) -> list[str]:
        return shared_names(job) if settings.DIGITS_PRIVATE else []

    @extend_schema_field(QueueFacts(allow_null=True))
    def get_queue(self, job):
        place = overview.queued(job)
        return place and place._asdict()

    def get_devices(self, job) -> list[str]:
        return [str(device) for device in Device.objects.filter(leased_to=job.pk)]


def page_of(row: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """The serializer of a page of such rows, for the schema."""
    fields = {
        "count": serializers.IntegerField(help_text="Of all pages."),
        "next": serializers.CharField(allow_null=True, help_text="The address of the next page; null on the last."),
        "previous": serializers.CharField(allow_null=True, help_text="The address of the page before."),
        "results": row(many=True),
    }
    made = type(f"{row.__name__}Page", (serializers.Serializer,), {"__doc__": "A page of a list.", **fields})
    return extend_schema_serializer(many=False)(made)


class ResourceViewSet(ViewSet):
    """The jobs of one class. Each app declares `list` and `retrieve` with the shapes of its responses."""

    job_class: type[Job]
    filter_class: type[ResourceFilter] = ResourceFilter
    row: type[JobResource] = JobResource  # of a list
    whole: type[serializers.Serializer]  # of a single job
    renderer_classes = (PrettyJSONRenderer,)

    def rows(self) -> QuerySet:
        """The jobs that the user may see, with the columns that a list shows."""
        return visible(self.job_class).only(*self.job_class.LISTED, *self.row.COLUMNS)

    def context(self, jobs: list) -> dict[str, Any]:
        """What the rows show beside their columns, loaded in a constant number of queries: the serializer's context."""
        return {}

    def details(self, job) -> dict[str, Any]:
        """A single job as JSON."""
        return details_of(self.whole, job)

    def list_jobs(self, request) -> Response:
        asked = self.filter_class.with_data(request.query_params)
        asked.is_valid(raise_exception=True)
        self.headers |= ignored_header(asked, request.query_params)
        pages = ResourcePages()
        jobs = pages.paginate_queryset(asked.filtered(self.rows()), request, view=self) or []
        rows = self.row(jobs, many=True, context=self.context(jobs)).data
        return pages.get_paginated_response(without_paths(rows))

    def describe(self, job_id: str) -> Response:
        return Response(self.details(fetch(self.job_class, job_id)))


def details_of(whole: type[serializers.Serializer], job: Job, **context) -> dict[str, Any]:
    """A job as JSON with all its details, without the paths that the user may not see."""
    return without_paths(whole(job, context=context).data)


def wants_details(request) -> bool:
    """Whether the query string has details=1 (or true, …). Raises ValidationError if it is not a flag."""
    return DetailsForm.valid_values(request.query_params)["details"]


class DetailsForm(Form):
    """The query string of a job's JSON."""

    HAS_FIXED_FIELDS = True

    details = Flag(help_text="Whether the response has all facts under `details`, as /api/v1 has them.")
