"""Middleware: the audit log's actor, security headers, old clients' double slashes, memory of responses."""

from functools import cache

from django.conf import settings
from django.db import connection
from django.urls import get_script_prefix, reverse

from digits_project.accounts import audit, permissions, usernames, viewer
from digits_project.accounts.client_address import sender
from digits_project.common import row_cache

# Content-Security-Policy: pages load only their own scripts, styles and pictures, and can't be framed.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


def actor(get_response):
    """Name the request's user in the audit log, and set the headers that forbid foreign content and, for personal
    responses, caching."""

    def middleware(request):
        acting = audit.acting(lambda: audit.Actor(usernames.owner(request), sender(request)))
        with acting, viewer.working_for(lambda: request.user):
            response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        if _is_personal(request):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return middleware


def _is_personal(request) -> bool:
    """Whether caches must not store the response: it is for an account, or about the login."""
    if request.path.startswith(settings.STATIC_URL):
        return False
    has_credentials = "Authorization" in request.headers or settings.SESSION_COOKIE_NAME in request.COOKIES
    return permissions.has_accounts() or has_credentials or request.path.startswith(_login_paths(get_script_prefix()))


@cache
def _login_paths(script_prefix: str) -> tuple[str, ...]:
    """The paths of the login, which reverse() puts under this prefix."""
    return reverse("login"), reverse("oidc-login"), reverse("oidc-callback")


class _Writes:
    """A wrapper of Django's for statements, which notes whether there was one that is no SELECT."""

    seen = False

    def __call__(self, execute, sql, params, many, context):
        self.seen = self.seen or not str(sql).startswith("SELECT")
        return execute(sql, params, many, context)


def forget_changed_rows(get_response):
    """Let the web processes of this host drop their cached rows before the response of a request that wrote rows is
    sent, so that the next request finds the new ones. The notification of PostgreSQL can come a moment later."""

    def middleware(request):
        writes = _Writes()
        try:
            with connection.execute_wrapper(writes):
                return get_response(request)
        finally:
            if writes.seen:
                row_cache.clear()

    return middleware


def forgive_double_slash(get_response):
    """Treat `//index.json` as `/index.json`, because old clients join "http://host/" and "/index.json"."""

    def middleware(request):
        if request.path_info.startswith("//"):
            request.path_info = "/" + request.path_info.lstrip("/")
            request.path = request.META.get("SCRIPT_NAME", "").rstrip("/") + request.path_info
        return get_response(request)

    return middleware


def break_cycles(get_response):
    """Let a rendered response be freed as soon as it is sent.

    DRF's response, view and request refer to each other. So responses and their data stayed until a garbage collection,
    which lists of jobs and pictures hardly ever cause, because the collector does not count strings and numbers: after
    25 lists of 10,000 jobs they took 145 MiB.
    """

    def middleware(request):
        response = get_response(request)
        context = getattr(response, "renderer_context", None)
        if context:
            context.pop("response", None)
            context["view"].response = None
            context["request"].parser_context = {}
        return response

    return middleware
