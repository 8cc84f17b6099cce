"""The groups of accounts, and what each may do."""

from enum import IntEnum

from django.contrib.auth.models import Group, Permission

ADMINISTERED = ("jobs", "datasets", "models_app", "accounts")  # apps whose admin pages are for operators
READ_ONLY = ("accounts.auditentry",)


class Role(IntEnum):
    """Each may do what the ones before it may, and more. The names are those of the groups."""

    VIEWER = 1  # read everything, classify
    USER = 2  # create jobs; abort, resume, edit and delete one's own
    OPERATOR = 3  # everything, with anybody's jobs

    @property
    def group(self) -> str:
        return self.name.lower()


def role_of(user) -> Role | None:
    """The highest role of an account; None has one that is in none of the groups."""
    if user.is_superuser:
        return Role.OPERATOR
    groups = set(user.groups.values_list("name", flat=True))
    return max((role for role in Role if role.group in groups), default=None)


def make_groups(**signal) -> None:
    """After every migration: the groups are there, and operators may use the admin's pages (who is staff, that is)."""
    for role in Role:
        Group.objects.get_or_create(name=role.group)
    permissions = Permission.objects.filter(content_type__app_label__in=ADMINISTERED).select_related("content_type")
    allowed = [p for p in permissions if not _is_forbidden(p)]
    Group.objects.get(name=Role.OPERATOR.group).permissions.add(*allowed)


def _is_forbidden(permission: Permission) -> bool:
    kind = f"{permission.content_type.app_label}.{permission.content_type.model}"
    return kind in READ_ONLY and not permission.codename.startswith("view_")
