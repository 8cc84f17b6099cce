"""Who may use the server, and which of its files they may name."""

from pathlib import Path

from django.conf import settings
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission

from digits_project.errors import BadInput


class Session(SessionAuthentication):
    """Django's login; who is not logged in gets a 401, not a 403."""

    def authenticate_header(self, request) -> str:
        return "Session"


class MayUse(BasePermission):
    """With DIGITS_AUTH=required whoever has logged in; with open whoever reaches the loopback address, as long as no
    page of another site sent the request: browsers say so (Origin, Sec-Fetch-Site), scripts send neither."""

    def has_permission(self, request, view) -> bool:
        if settings.DIGITS_AUTH == "required":
            return request.user.is_authenticated
        if request.method not in SAFE_METHODS and _comes_from_elsewhere(request):
            raise PermissionDenied("A page of another site sent this request; this server takes it from its own only.")
        return True


def _comes_from_elsewhere(request) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.get_host():
        return True
    return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


def readable(path: str) -> Path:
    """The server's file or folder that a user named, resolved. Raises BadInput when it lies outside the data roots, and
    says nothing then about what is there."""
    if not path.startswith("/"):
        raise BadInput(f"{path} is not an absolute path; paths are those of the server and begin with /.")
    try:
        resolved = Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as unreadable:  # RuntimeError: links in a circle, up to Python 3.12
        shown = ascii(path)[:200]
        raise BadInput(f"{shown} can't be read: no permission, links in a circle, or not a path.") from unreadable
    if not any(resolved.is_relative_to(root) for root in settings.DIGITS_DATA_ROOTS):
        roots = ", ".join(map(str, settings.DIGITS_DATA_ROOTS))
        raise BadInput(f"{path} is not in a folder that this server may read ({roots}); see DIGITS_DATA_ROOTS.")
    return resolved
