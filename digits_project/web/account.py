"""The account page: name, group, use of limits, jobs, tokens; and the forms for the password and for tokens."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.serializers import CharField, ChoiceField, IntegerField, Serializer
from rest_framework.views import APIView

from digits_project.accounts import audit, login_throttling, permissions, tokens, usernames
from digits_project.accounts.authentication import Session
from digits_project.accounts.models import AccessToken, Scope
from digits_project.accounts.roles import Role, role_of
from digits_project.api.browsable import PageResponse
from digits_project.api.forms import Form
from digits_project.api.viewsets import PageView
from digits_project.common.errors import BadInput
from digits_project.jobs import limits, quota
from digits_project.jobs.models import job_classes
from digits_project.jobs.visibility import visible

MAX_JOBS = 10  # of each kind, on the page
MAX_DAYS = 3650  # of a token
MAX_PASSWORD = 4096  # characters


# --- the page ------------------------------------------------------------------------------------------------------
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

    def get_view_name(self):
        return self.name

    @extend_schema(responses={200: AccountFacts})
    def get(self, request, format=None):
        name = usernames.owner(request)
        role = role_of(request.user) if permissions.has_accounts() else None
        limited = limits.applies_to(name)
        facts = {
            "name": name,
            "group": role.group if role else None,
            "waiting": limits.waiting(name) if name else 0,
            "max_waiting": settings.DIGITS_MOST_WAITING or None if limited else None,
            "disk_bytes": quota.used(name) if name else 0,
            "max_disk_bytes": settings.DIGITS_MAX_OWNER_DISK << 20 or None if limited else None,
        }
        if request.accepted_renderer.format == "json":
            return PageResponse(facts)
        return PageResponse(facts, "account.html", **_shown(request, name))


def _shown(request, name: str) -> dict[str, Any]:
    """What only the page shows."""
    jobs = [
        job
        for job_class in job_classes()
        for job in visible(job_class).filter(owner=name).only(*job_class.LISTED, "disk_bytes")[:MAX_JOBS]
    ]
    has_account = request.user.is_authenticated
    return {
        "jobs": sorted(jobs, key=lambda job: job.created_at, reverse=True)[:MAX_JOBS] if name else [],
        "has_password": has_account and request.user.has_usable_password(),
        "tokens": list(AccessToken.objects.filter(user=request.user)) if has_account else None,
        "scopes": Scope.choices,
    }


# --- forms ---------------------------------------------------------------------------------------------------------
class AccountForm(PageView):
    """The base of the forms of the account page: only for a login, not for a token, which could make further tokens."""

    authentication_classes = (Session,)
    role = Role.VIEWER

    def get_view_name(self):
        return "Your account"

    def values(self, form_class: type[Form]) -> dict[str, Any]:
        """The valid values of the posted form. Raises ValidationError."""
        if not self.request.user.is_authenticated:
            raise BadInput("Log in with an account first.")
        return form_class.valid_values(self.request.data)


class PasswordForm(Form):
    """The present password, and the new one twice."""

    old_password = CharField(max_length=MAX_PASSWORD, trim_whitespace=False, style={"input_type": "password"})
    new_password = CharField(max_length=MAX_PASSWORD, trim_whitespace=False, style={"input_type": "password"})
    new_password_again = CharField(max_length=MAX_PASSWORD, trim_whitespace=False, style={"input_type": "password"})

    def wrong_together(self, values):
        if values.get("new_password") == values.get("new_password_again"):
            return {}
        return {"new_password_again": "The two new passwords differ."}  # nosec B105 (a text)


class ChangePassword(AccountForm):
    """Change one's password. The login stays, those of other browsers end."""

    def post(self, request) -> HttpResponse:
        values, user = self.values(PasswordForm), request.user
        if login_throttling.must_wait(request._request, user.get_username()):
            raise Throttled(login_throttling.SECONDS, "Too many wrong passwords.")
        if auth.authenticate(request._request, username=user.get_username(), password=values["old_password"]) is None:
            raise ValidationError({"old_password": "This is not your present password."})  # nosec B105 (a text)
        try:
            validate_password(values["new_password"], user)
        except DjangoValidationError as weak:
            raise ValidationError({"new_password": weak.messages}) from weak
        user.set_password(values["new_password"])
        user.save(update_fields=["password"])
        auth.update_session_auth_hash(request._request, user)
        audit.record("change password", user.get_username())
        return HttpResponseRedirect(reverse("account"))


class NewTokenForm(Form):
    """What a token is for, what it allows, and how long it works."""

    token_name = CharField(max_length=100)
    scope = ChoiceField(Scope.choices, default=Scope.ALL)
    days = IntegerField(min_value=1, max_value=MAX_DAYS, default=None)


class MakeToken(AccountForm):
    """Make a token. Its secret is on the page of this response, and never again."""

    def post(self, request) -> HttpResponse:
        values = self.values(NewTokenForm)
        expires = timezone.now() + timedelta(days=values["days"]) if values["days"] else None
        token, secret = tokens.issue(request.user, values["token_name"], values["scope"], expires)
        return PageResponse({}, "new_token.html", token=token, secret=secret)


class WithdrawForm(Form):
    """The number of a token."""

    token = IntegerField(min_value=1, max_value=2**63 - 1)


class WithdrawToken(AccountForm):
    """Withdraw one of one's own tokens."""

    def post(self, request) -> HttpResponse:
        number = self.values(WithdrawForm)["token"]
        tokens.withdraw(get_object_or_404(AccessToken, pk=number, user=request.user.pk))
        return HttpResponseRedirect(reverse("account"))
