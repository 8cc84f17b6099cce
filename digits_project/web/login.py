"""The login and logout views."""

from contextlib import suppress

from django.conf import settings
from django.contrib import auth
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotAuthenticated, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.serializers import CharField, RegexField
from rest_framework.views import APIView

from digits_project.accounts import login_throttling, permissions, usernames
from digits_project.accounts.usernames import USER_NAME, USER_NAME_RULE
from digits_project.api.forms import Form
from digits_project.api.viewsets import FormViewSet
from digits_project.jobs.api.job_responses import MOVED


class LoginForm(Form):
    """A user name, a password if the server has accounts, and the page to open next."""

    DESCRIPTIONS = {  # nosec B105 (texts)
        "username": "Your user name.",
        "password": "Needed only if the server has accounts, and for the admin.",
        "next": "The path of this server to which the response redirects, such as /admin/ [the home page].",
    }

    username = RegexField(USER_NAME, error_messages={"invalid": USER_NAME_RULE})
    password = CharField(required=False, max_length=4096, trim_whitespace=False, style={"input_type": "password"})
    next = CharField(required=False, max_length=4096)


class FromHere(BasePermission):
    """Allows every client, but no request from a page of another site, not even a GET by a link there."""

    def has_permission(self, request, view) -> bool:
        permissions.refuse_other_sites(request, even_links=getattr(view, "get_changes", False))
        return True


class LoginViewSet(FormViewSet):
    """Log in, as DIGITS's clients do before anything else.

    With DIGITS_AUTH=open the name is enough; it only becomes the owner of what the client creates. With
    DIGITS_AUTH=required the password is needed too, and the client must send the session cookie of the response with
    its other requests. The admin always needs a password; a login with the right one is valid there too.
    """

    page_template = "login.html"
    serializer_class = LoginForm
    permission_classes = (FromHere,)

    # Without a docstring: page and schema show that of the class.
    @extend_schema(responses=MOVED)
    def log_in(self, request, format=None):
        form = self.valid_form(request.data)
        name, password = form.validated_data["username"], form.validated_data.get("password", "")
        response = HttpResponseRedirect(self.next_page() or reverse("home"))
        if self.needs_account():
            _log_in(request, name, password)
            return response
        if password:
            with suppress(NotAuthenticated, Throttled):  # a name is enough here
                _log_in(request, name, password)
        usernames.remember_name(response, name)
        return response

    def needs_account(self) -> bool:
        """Whether a password is needed: on a server with accounts, and for the admin."""
        return permissions.has_accounts() or self.next_page().startswith(reverse("admin:index"))

    def next_page(self) -> str:
        """The page of this server that `next` names; "" if there is none or it is on another site."""
        data = self.request.query_params if self.request.method == "GET" else self.sent()
        page = str(data.get("next") or "")
        here = {self.request.get_host()}
        return page if url_has_allowed_host_and_scheme(page, here, self.request.is_secure()) else ""

    def provider(self) -> str:
        """The name of the OpenID Connect provider on the page; "" without one."""
        return settings.DIGITS_OIDC_NAME if settings.DIGITS_OIDC_ISSUER and self.needs_account() else ""

    def typed_name(self) -> str:
        """The initial value of the page's name field."""
        data = self.request.query_params if self.request.method == "GET" else self.sent()
        return str(data.get("username") or "")


class AdminLoginViewSet(LoginViewSet):
    """The login address of Django's admin, which redirects to /login."""

    schema = None  # the schema lists only /login

    def defaults(self, request, format=None):
        if permissions.may_enter_admin(request):
            return HttpResponseRedirect(reverse("admin:index"))
        page = urlencode({"next": self.next_page() or reverse("admin:index")})
        return HttpResponseRedirect(f"{reverse('login')}?{page}")

    def next_page(self) -> str:
        return super().next_page() or reverse("admin:index")


class Logout(APIView):
    """Log out, and forget the name that the client of an open server has given."""

    permission_classes = (FromHere,)
    get_changes = True

    @extend_schema(responses=MOVED)
    def get(self, request, format=None):
        auth.logout(request._request)
        response = HttpResponseRedirect(reverse("home"))
        usernames.forget_name(response)
        return response

    post = get


def _log_in(request, username: str, password: str = "") -> None:  # nosec B107 (without one nobody gets in)
    """Log the user in. Raises NotAuthenticated or Throttled."""
    if login_throttling.must_wait(request._request, username):
        raise Throttled(login_throttling.SECONDS, "Too many wrong passwords.")
    user = auth.authenticate(request._request, username=username, password=password)
    if user is None:
        raise NotAuthenticated("The user name or the password is wrong.")
    auth.login(request._request, user)
