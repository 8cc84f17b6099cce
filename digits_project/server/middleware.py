"""What happens to a request before any view sees it, and to the headers of its response."""

from django.conf import settings
from django.urls import reverse

from digits_project.accounts import audit, permissions, usernames, viewer
from digits_project.accounts.client_address import sender

# What pages may load: their own scripts, styles and pictures; nobody may frame them, and nothing comes from elsewhere.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


def actor(get_response):
    """What a request does is put down to its user in the audit log; its page may load nothing from elsewhere, and no
    cache keeps what is for an account."""

    def middleware(request):
        who = audit.acting(lambda: audit.Actor(usernames.owner(request), sender(request)))
        with who, viewer.working_for(lambda: request.user):
            response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        if _is_personal(request):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return middleware


def _is_personal(request) -> bool:
    """Whether no cache may keep the response: it is for an account, or about logging in."""
    if request.path.startswith(settings.STATIC_URL):
        return False
    has_credentials = "Authorization" in request.headers or settings.SESSION_COOKIE_NAME in request.COOKIES
    logs_in = request.path.startswith((reverse("login"), reverse("oidc-login"), reverse("oidc-callback")))
    return permissions.has_accounts() or has_credentials or logs_in


def forgive_double_slash(get_response):
    """Old clients join "http://host/" and "/index.json": take `//index.json` for `/index.json`."""

    def middleware(request):
        if request.path_info.startswith("//"):
            request.path_info = "/" + request.path_info.lstrip("/")
            request.path = request.META.get("SCRIPT_NAME", "").rstrip("/") + request.path_info
        return get_response(request)

    return middleware
