"""The forms about jobs of every class: their name, notes and group; several jobs at once; pages of lists."""

from collections.abc import Mapping
from typing import Any

from django.utils.datastructures import MultiValueDict
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import CharField, IntegerField, ListField

from digits_project.api.forms import Form
from digits_project.jobs.models import MAX_GROUP_NAME
from digits_project.jobs.sharing import GroupNames

JOB_IDS = "job_ids[]"  # as DIGITS's pages name it
MAX_JOBS = 10_000  # of one request


def group_field(**options) -> CharField:
    """The form field `group_name`."""
    return CharField(max_length=MAX_GROUP_NAME, help_text="A group of jobs, which lists show together.", **options)


class PageForm(Form):
    """The query string that chooses a page of the index."""

    page = IntegerField(
        default=1,
        min_value=1,
        max_value=1_000_000,
        help_text="The page, from 1. Without page and page_size, the response lists all jobs.",
    )
    page_size = IntegerField(default=100, min_value=1, max_value=10_000, help_text="Jobs of each kind on a page.")

    @classmethod
    def window(cls, query: Mapping[str, str]) -> slice:
        """The rows that a query string asks for: all, unless it names a page or its size. Raises ValidationError."""
        asked = cls.valid_values(query)
        if not {"page", "page_size"} & set(query):
            return slice(None)
        return slice((asked["page"] - 1) * asked["page_size"], asked["page"] * asked["page_size"])


class EditForm(Form):
    """The form that changes a job: name and notes, as DIGITS called these fields, and the groups that see it."""

    job_name = CharField(required=False, max_length=255, help_text="The job's new name.")
    job_notes = CharField(required=False, max_length=100_000, allow_blank=True, help_text="The job's new notes.")
    group_name = group_field(required=False, allow_blank=True)
    shared_with = GroupNames(
        required=False,
        allow_blank=True,
        help_text="Groups whose members can also see the job on a private server, separated by commas.",
    )

    def validate(self, form):
        if not form:
            raise ValidationError("Nothing to change: send job_name, job_notes, group_name or shared_with.")
        return form


class JobIdsForm(Form):
    """The jobs of one action. A form sends `job_ids[]` once for each job, JSON sends a list."""

    def unordered_fields(self):
        ids = ListField(
            child=CharField(max_length=100), max_length=MAX_JOBS, allow_empty=False, help_text="The ids of the jobs."
        )
        return {JOB_IDS: ids, **super().unordered_fields()}

    def to_internal_value(self, data):
        return super().to_internal_value(with_job_ids(data) if hasattr(data, "items") else data)


class RegroupForm(JobIdsForm):
    """The form of POST /group: the jobs, and the group that they get; an empty name takes them out of their groups."""

    group_name = group_field(allow_blank=True)


def with_job_ids(data: Mapping) -> dict:
    """The posted fields, with all values of `job_ids[]`."""
    fields = dict(data.items())
    if isinstance(data, MultiValueDict) and JOB_IDS in data:
        fields[JOB_IDS] = data.getlist(JOB_IDS)
    return fields


def with_defaults(data: Mapping, defaults: Mapping[str, Any]) -> Mapping:
    """The posted fields, and the defaults of those that are missing."""
    if not defaults:
        return data
    if isinstance(data, MultiValueDict):
        return MultiValueDict({name: [value] for name, value in defaults.items()} | dict(data.lists()))
    return {**defaults, **data}
