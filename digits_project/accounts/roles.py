"""The groups of accounts, and what each may do."""

from enum import IntEnum

from django.contrib.auth.models import Group, Permission

from digits_project.common import row_cache

JOBS = ("datasets", "models_app")  # apps whose rows are jobs
ADMINISTERED = ("jobs", "datasets", "models_app", "accounts")  # apps whose admin pages are for operators
READ_ONLY = ("accounts.auditentry",)


class Role(IntEnum):
    """The roles, named like the groups. Each role includes the ones before it."""

    VIEWER = 1  # read everything, classify
    USER = 2  # create jobs; abort, resume, edit and delete one's own
    OPERATOR = 3  # everything, with anybody's jobs

    @property
    def group(self) -> str:
        return self.name.lower()


def role_of(user) -> Role | None:
    """The highest role of an account; None if it is in none of the groups."""
    if user.is_superuser:
        return Role.OPERATOR
    return row_cache.cached(("role", user.pk), lambda: _role_in(set(user.groups.values_list("name", flat=True))))


def _role_in(groups: set[str]) -> Role | None:
    return max((role for role in Role if role.group in groups), default=None)


def make_groups(**signal) -> None:
    """Create the groups after every migration, with the permissions that their staff accounts have in the admin.

    Viewers may look. Users may also create jobs and change their own, which the pages check. Operators may do all.
    """
    for role in Role:
        Group.objects.get_or_create(name=role.group)
    permissions = Permission.objects.filter(content_type__app_label__in=ADMINISTERED).select_related("content_type")
    allowed = [p for p in permissions if not _is_forbidden(p)]
    Group.objects.get(name=Role.OPERATOR.group).permissions.add(*allowed)
    of_jobs = [p for p in allowed if p.content_type.app_label in JOBS]
    seen = [p for p in allowed if p.content_type.app_label in (*JOBS, "jobs") and p.codename.startswith("view_")]
    Group.objects.get(name=Role.VIEWER.group).permissions.add(*seen)
    Group.objects.get(name=Role.USER.group).permissions.add(*seen, *of_jobs)


def _is_forbidden(permission: Permission) -> bool:
    kind = f"{permission.content_type.app_label}.{permission.content_type.model}"
    return kind in READ_ONLY and not permission.codename.startswith("view_")
