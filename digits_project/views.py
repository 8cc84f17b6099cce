"""The routes of the server itself, which belong to no job: logging in and out, and what paths there are."""

from django.conf import settings
from django.contrib import auth
from django.http import HttpResponseRedirect
from django.urls import reverse
from rest_framework.exceptions import NotAuthenticated, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.response import Response
from rest_framework.serializers import CharField, ListField, RegexField, Serializer
from rest_framework.views import APIView

from digits_project import access
from digits_project.accounts import guard
from digits_project.accounts.roles import Role
from digits_project.api import Form, PrettyJSONRenderer
from digits_project.jobs.views import FormView
from digits_project.jobs.wire import MOVED


class LoginForm(Form):
    """A name, and where the server has accounts its password."""

    DESCRIPTIONS = {"username": "Who you are.", "password": "Only where the server has accounts."}  # nosec B105 (a text)

    username = RegexField(access.USER_NAME, error_messages={"invalid": access.USER_NAME_RULE})
    password = CharField(required=False, max_length=4096, trim_whitespace=False, style={"input_type": "password"})


class FromHere(BasePermission):
    """Whoever asks, but no page of another site; not by a link either, where that changes something."""

    def has_permission(self, request, view) -> bool:
        access.refuse_other_sites(request, even_links=getattr(view, "get_changes", False))
        return True


class Login(FormView):
    """Tell the server who you are, before anything else, as DIGITS's clients do.

    With DIGITS_AUTH=open the name alone is enough; what the client creates is recorded under it, no more. With required
    it takes the password too, and the session cookie of the answer goes with the client's other requests.
    """

    name = "Log in"
    serializer_class = LoginForm
    answers = FormView.answers | {"post": MOVED}
    permission_classes = (FromHere,)

    def post(self, request, format=None):
        form = LoginForm(data=request.data)
        form.is_valid(raise_exception=True)
        answer = HttpResponseRedirect(reverse("home"))
        if access.has_accounts():
            _log_in(request, **form.validated_data)
        else:
            name, path = form.validated_data["username"], settings.SESSION_COOKIE_PATH
            answer.set_cookie(access.USER_COOKIE, name, path=path, httponly=True, samesite="Lax")
        return answer


class Logout(APIView):
    """Forget who the client is."""

    answers = {"get": MOVED, "post": MOVED}
    permission_classes = (FromHere,)
    get_changes = True

    def get(self, request, format=None):
        auth.logout(request._request)
        answer = HttpResponseRedirect(reverse("home"))
        answer.delete_cookie(access.USER_COOKIE, path=settings.SESSION_COOKIE_PATH, samesite="Lax")
        return answer

    post = get


class QueryForm(Form):
    """What was typed so far."""

    query = CharField(default="", help_text="How the paths begin.")


class Suggestions(Serializer):
    """Paths that one may go on with."""

    suggestions = ListField(child=CharField())


class PathSuggestions(APIView):
    """Paths of the server that begin with `?query=`, at most a hundred, of those that jobs may read.

    It has no page: it is JSON with or without the suffix.
    """

    renderer_classes = (PrettyJSONRenderer,)
    reading_role = Role.USER
    answers = {"get": Suggestions}
    queries = {"get": QueryForm}

    def get(self, request, format=None):
        return Response({"suggestions": access.paths_beginning_with(request.query_params.get("query", ""))})


def _log_in(request, username: str, password: str = "") -> None:  # nosec B107 (without one nobody gets in)
    """Raises NotAuthenticated or Throttled."""
    if guard.must_wait(request._request, username):
        raise Throttled(guard.SECONDS, "Too many wrong passwords.")
    user = auth.authenticate(request._request, username=username, password=password)
    if user is None:
        raise NotAuthenticated("The name and the password do not belong together, or there is no such user.")
    auth.login(request._request, user)
