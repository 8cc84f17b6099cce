"""Middleware: the audit log's actor, security headers, old clients' double slashes."""

from django.conf import settings
from django.urls import reverse

from digits_project.accounts import audit, permissions, usernames, viewer
from digits_project.accounts.client_address import sender

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
    logs_in = request.path.startswith((reverse("login"), reverse("oidc-login"), reverse("oidc-callback")))
    return permissions.has_accounts() or has_credentials or logs_in


def forgive_double_slash(get_response):
    """Treat `//index.json` as `/index.json`, because old clients join "http://host/" and "/index.json"."""

    def middleware(request):
        if request.path_info.startswith("//"):
            request.path_info = "/" + request.path_info.lstrip("/")
            request.path = request.META.get("SCRIPT_NAME", "").rstrip("/") + request.path_info
        return get_response(request)

    return middleware
