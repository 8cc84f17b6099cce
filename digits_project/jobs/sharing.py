"""Shares a job with groups on a private server (DIGITS_PRIVATE)."""

from collections.abc import Sequence

from django.contrib.auth.models import Group
from rest_framework import serializers

from digits_project.jobs.models import Job
from digits_project.jobs.visibility import groups_to_share_with

MAX_GROUPS = 50


class GroupNames(serializers.CharField):
    """Group names separated by commas, "vision,lab 3", or a JSON list. The value is a list of groups."""

    def __init__(self, **kwargs):
        super().__init__(max_length=10_000, **kwargs)

    def run_validation(self, data=serializers.empty):
        return super().run_validation(",".join(map(str, data)) if isinstance(data, list) else data)

    def validate_empty_values(self, data):
        return (True, []) if data in ("", None) else super().validate_empty_values(data)

    def to_internal_value(self, data):
        return groups_of(super().to_internal_value(data).split(","))


def groups_of(names: Sequence[str]) -> list[Group]:
    """The groups with these names. Raises DRF's ValidationError for a group that the user can't share with."""
    wanted = list(dict.fromkeys(name for name in map(str.strip, names) if name))
    if len(wanted) > MAX_GROUPS:
        raise serializers.ValidationError(f"These are more than {MAX_GROUPS} groups, the most for one job.")
    # Compared here, because the database fails on values that are not valid text.
    found = {group.name: group for group in groups_to_share_with()}
    if missing := [name for name in wanted if name not in found]:
        known = ", ".join(list(found)[:MAX_GROUPS])
        raise serializers.ValidationError(
            f"There is no group {missing[0]} that you can share with; your groups are: {known}."
        )
    return [found[name] for name in wanted]


def shared_names(job: Job) -> list[str]:
    """The names of the groups that a job is shared with."""
    return list(job.shared_with.order_by("name").values_list("name", flat=True))
