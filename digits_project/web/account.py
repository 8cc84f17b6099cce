"""The account page: name, group, and the use of limits."""

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.serializers import CharField, IntegerField, Serializer
from rest_framework.views import APIView

from digits_project.accounts import permissions, usernames
from digits_project.accounts.roles import role_of
from digits_project.api.browsable import PageResponse
from digits_project.jobs import limits, quota


class AccountFacts(Serializer):
    """The client's name and group, and its use of each limit."""

    name = CharField(help_text="Empty if the client of an open server has not given its name.")
    group = CharField(allow_null=True, help_text="viewer, user or operator; null on an open server.")
    waiting = IntegerField(help_text="Jobs of the client that wait.")
    max_waiting = IntegerField(allow_null=True, help_text="How many jobs of the client can wait; null: any number.")
    disk_bytes = IntegerField(help_text="What the jobs take: datasets, models with their snapshots, uploads.")
    max_disk_bytes = IntegerField(
        allow_null=True, help_text="How much of it is allowed; null: as much as the disk has."
    )


class AccountPage(APIView):
    """Your name and group, your waiting jobs and their limit, and your bytes on disk and their limit."""

    name = "Your account"

    @extend_schema(responses={200: AccountFacts})
    def get(self, request, format=None):
        name = usernames.owner(request)
        role = role_of(request.user) if permissions.has_accounts() else None
        limited = limits.applies_to(name)
        return PageResponse(
            {
                "name": name,
                "group": role.group if role else None,
                "waiting": limits.waiting(name) if name else 0,
                "max_waiting": settings.DIGITS_MOST_WAITING or None if limited else None,
                "disk_bytes": quota.used(name) if name else 0,
                "max_disk_bytes": settings.DIGITS_MAX_OWNER_DISK << 20 or None if limited else None,
            },
            "account.html",
        )
