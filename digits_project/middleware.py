"""What happens to a request before any view sees it."""

from digits_project import access
from digits_project.accounts import audit
from digits_project.accounts.address import sender

# What pages may load: their own scripts, styles and pictures; nobody may frame them, and nothing comes from elsewhere.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


def actor(get_response):
    """What a request does is put down to its user in the audit log; its page may load nothing from elsewhere."""

    def middleware(request):
        with audit.acting(lambda: audit.Actor(access.owner(request), sender(request))):
            response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        return response

    return middleware


def forgive_double_slash(get_response):
    """Old clients join "http://host/" and "/index.json": take `//index.json` for `/index.json`."""

    def middleware(request):
        if request.path_info.startswith("//"):
            request.path_info = "/" + request.path_info.lstrip("/")
            request.path = request.META.get("SCRIPT_NAME", "").rstrip("/") + request.path_info
        return get_response(request)

    return middleware
