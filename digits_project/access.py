"""Who may use the server, and which of its files they may name."""

import os
import re
from itertools import islice
from pathlib import Path

from django.conf import settings
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission

from digits_project import serverfiles
from digits_project.errors import BadInput

USER_COOKIE = "username"  # DIGITS's name for it
USER_NAME = re.compile(r"\A[A-Za-z0-9@.+_-]{1,150}\Z")  # Django's rule, in ASCII, since it travels as a cookie
USER_NAME_RULE = "A name is of up to 150 letters, digits and @.+-_, without blanks."
MOST_SUGGESTIONS = 100
MOST_ENTRIES_READ = 20_000  # of a folder, to find them


class Session(SessionAuthentication):
    """Django's login; who is not logged in gets a 401, not a 403.

    Where Django wants a token to prove that a page of ours sent the request, here the browser says so itself: scripts
    that log in have no page to take a token from.
    """

    def authenticate_header(self, request) -> str:
        return "Session"

    def enforce_csrf(self, request) -> None:
        refuse_other_sites(request)


class MayUse(BasePermission):
    """With DIGITS_AUTH=required whoever has logged in; with open whoever reaches the loopback address, as long as no
    page of another site sent the request."""

    def has_permission(self, request, view) -> bool:
        if has_accounts():
            return request.user.is_authenticated
        refuse_other_sites(request)
        return True


def has_accounts() -> bool:
    return settings.DIGITS_AUTH == "required"


def owner(request) -> str:
    """The name under which what this request creates is recorded."""
    if request.user.is_authenticated:
        return request.user.get_username()
    claimed = "" if has_accounts() else request.COOKIES.get(USER_COOKIE, "")
    return claimed if USER_NAME.match(claimed) else ""


def refuse_other_sites(request) -> None:
    """Raise PermissionDenied for a change that a page of another site asks for.

    Browsers say where a request comes from (Origin, Sec-Fetch-Site), scripts send neither.
    """
    if request.method not in SAFE_METHODS and _comes_from_elsewhere(request):
        raise PermissionDenied("A page of another site sent this request; this server takes it from its own only.")


def _comes_from_elsewhere(request) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.get_host():
        return True
    return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


def readable(path: str, *more_roots: Path) -> Path:
    """The server's file or folder that a user named, resolved. Raises BadInput when it lies outside the data roots and
    `more_roots`, and says nothing then about what is there. Whatever opens it goes through serverfiles."""
    if not path.startswith("/"):
        raise BadInput(f"{path} is not an absolute path; paths are those of the server and begin with /.")
    try:
        return serverfiles.resolve(path, (*settings.DIGITS_DATA_ROOTS, *more_roots))
    except serverfiles.Outside:
        raise serverfiles.Outside(path, settings.DIGITS_DATA_ROOTS) from None
    except (OSError, RuntimeError) as unreadable:  # RuntimeError: links in a circle, up to Python 3.12
        named = serverfiles.shown(path)
        raise BadInput(f"{named} can't be read: no permission, links in a circle, or not a path.") from unreadable


def paths_beginning_with(query: str) -> list[str]:
    """The paths that one may go on with after typing `query`, sorted; none of what lies outside of the data roots.

    As in a shell, hidden names are told only to who begins one.
    """
    query = query if query.startswith("/") else f"/{query}"
    folder, _, beginning = query.rpartition("/")
    roots = {str(root) for root in settings.DIGITS_DATA_ROOTS if str(root).startswith(query)}
    return sorted({*roots, *_entries(folder or "/", beginning)})[:MOST_SUGGESTIONS]


def _entries(folder: str, beginning: str) -> list[str]:
    """The readable entries of a folder whose names begin so."""
    try:
        with serverfiles.open_folder(folder, settings.DIGITS_DATA_ROOTS) as opened, os.scandir(opened) as entries:
            names = [entry.name for entry in islice(entries, MOST_ENTRIES_READ) if entry.name.startswith(beginning)]
    except (BadInput, OSError):
        return []
    shown = sorted(name for name in names if name.isprintable() and name.startswith(".") == beginning.startswith("."))
    paths = (os.path.normpath(f"{folder}/{name}") for name in shown)
    readable = (path for path in paths if not serverfiles.leads_out(path, settings.DIGITS_DATA_ROOTS))
    return list(islice(readable, MOST_SUGGESTIONS))
