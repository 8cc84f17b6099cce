"""Who may use the server, and which of its files they may name."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.throttling import BaseThrottle

from digits_project import serverfiles
from digits_project.accounts import tokens
from digits_project.accounts.models import AccessToken, Scope
from digits_project.accounts.roles import Role, role_of
from digits_project.accounts.usernames import USER_NAME
from digits_project.accounts.viewer import limited_user
from digits_project.errors import BadInput
from digits_project.jobs.visibility import find_visible

USER_COOKIE = "username"  # DIGITS's name for it, which its clients send
OWN_USER_COOKIE = f"digits_username_{settings.DIGITS_ID}"  # the same, which no other server of this host overwrites
MOST_SUGGESTIONS = 100
MOST_ENTRIES_READ = 20_000  # of a folder, to find them
MOST_LISTS = 2

_lists: Counter = Counter()  # of images, under way, by user
_lists_lock = threading.Lock()


class Session(SessionAuthentication):
    """Django's login; who is not logged in gets a 401, not a 403.

    Where Django wants a token to prove that a page of ours sent the request, here the browser says so itself: scripts
    that log in have no page to take a token from.
    """

    def authenticate_header(self, request) -> str:
        return "Session"

    def enforce_csrf(self, request) -> None:
        refuse_other_sites(request)


class Token(BaseAuthentication):
    """`Authorization: Token …`, as `manage.py token` and the admin make them."""

    def authenticate(self, request):
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "token":
            return None
        token = tokens.find(secret.strip())
        if token is None:
            raise AuthenticationFailed("There is no such token, or it was withdrawn.")
        if token.has_expired:
            raise AuthenticationFailed(f"This token expired at {token.expires_at:%Y-%m-%d %H:%M} UTC; make another.")
        return token.user, token

    def authenticate_header(self, request) -> str:
        return "Token"


class MayUse(BasePermission):
    """With DIGITS_AUTH=required whoever has logged in and is in a group that may do this; with open whoever reaches the
    loopback address, as long as no page of another site sent the request.

    A view says by `role` what a request that changes something takes, and by `reading_role` what any other takes.
    """

    def has_permission(self, request, view) -> bool:
        if not has_accounts():
            refuse_strangers(request)
            refuse_other_sites(request)
            return True
        if not request.user.is_authenticated:
            return False  # a 401
        name = "reading_role" if request.method in SAFE_METHODS else "role"
        needed = getattr(view, name, Role.VIEWER if request.method in SAFE_METHODS else Role.OPERATOR)
        role = role_of(request.user)
        if role is None:
            raise PermissionDenied("This account is in none of the groups viewer, user, operator; ask an operator.")
        if role < needed:
            raise PermissionDenied(f"This takes an account of the group {needed.group}; yours is a {role.group}'s.")
        _refuse_beyond_scope(request, Scope.READ if name == "reading_role" else scope_of(needed))
        return True


def scope_of(needed: Role) -> Scope:
    """What a token has to be good for, for a request that is no GET: a viewer's such requests are questions to models,
    and change nothing."""
    return Scope.INFER if needed == Role.VIEWER else Scope.ALL


def _refuse_beyond_scope(request, scope: Scope) -> None:
    """Raise PermissionDenied if the request came with a token that is not good for that."""
    token = request.auth
    if isinstance(token, AccessToken) and not token.allows(scope):
        raise PermissionDenied(f"This takes a token of the scope {scope}; the scope of this one is {token.scope}.")


class InferenceRate(BaseThrottle):
    """At most DIGITS_INFERENCE_RATE requests a minute and user, where the server has accounts."""

    def allow_request(self, request, view) -> bool:
        if not (has_accounts() and settings.DIGITS_INFERENCE_RATE):
            return True
        minute, self._rest = divmod(time.time(), 60)
        key = f"inference-{request.user.pk}-{minute:.0f}"
        cache.add(key, 0, 120)
        return cache.incr(key) <= settings.DIGITS_INFERENCE_RATE

    def wait(self) -> float:
        return 60 - self._rest


@contextmanager
def one_of_few_lists(request) -> Iterator[None]:
    """A list may keep a thread of the server busy for hours. Raises Throttled where a user has MOST_LISTS under way."""
    user = request.user.pk if has_accounts() else None
    with _lists_lock:
        if user and _lists[user] >= MOST_LISTS:
            raise Throttled(detail=f"{MOST_LISTS} lists of yours are being worked on; send this one after them.")
        _lists[user] += 1
    try:
        yield
    finally:
        with _lists_lock:
            _lists[user] -= 1


def refuse_to_change(request, job) -> None:
    """Raise PermissionDenied unless the job is the user's own, or he is an operator."""
    if has_accounts() and role_of(request.user) < Role.OPERATOR and job.owner != request.user.get_username():
        whose = f"It is {job.owner}'s" if job.owner else "It is nobody's"
        raise PermissionDenied(f"{whose}; only its owner and operators may do that.")


def refuse_strangers(request) -> None:
    """Raise PermissionDenied on an open server for what does not come from this very machine."""
    address = request.META.get("REMOTE_ADDR", "")  # none on a Unix socket
    if address not in ("", "127.0.0.1", "::1") or "X-Forwarded-For" in request.headers:
        raise PermissionDenied("This server is open to its own machine only; DIGITS_AUTH=required lets others in.")


def may_enter_admin(request) -> bool:
    """Whether Django's admin lets this request's user in."""
    return request.user.is_active and request.user.is_staff


def has_accounts() -> bool:
    return settings.DIGITS_AUTH == "required"


def owner(request, named: object = None) -> str:
    """The name under which what this request creates is recorded; on an open server `named`, else the cookie's."""
    if request.user.is_authenticated:
        return request.user.get_username()
    cookies = (request.COOKIES.get(name, "") for name in (OWN_USER_COOKIE, USER_COOKIE))
    claimed = "" if has_accounts() else str(named or next(filter(None, cookies), ""))
    return claimed if USER_NAME.match(claimed) else ""


def remember_name(answer: HttpResponse, name: str) -> None:
    """Let an open server's client come with this name from now on."""
    for cookie in (USER_COOKIE, OWN_USER_COOKIE):
        answer.set_cookie(cookie, name, path=settings.SESSION_COOKIE_PATH, httponly=True, samesite="Lax")


def forget_name(answer: HttpResponse) -> None:
    """Let it come without one."""
    for cookie in (USER_COOKIE, OWN_USER_COOKIE):
        answer.delete_cookie(cookie, path=settings.SESSION_COOKIE_PATH, samesite="Lax")


def refuse_other_sites(request, even_links: bool = False) -> None:
    """Raise PermissionDenied for a change that a page of another site asks for; with `even_links` a GET is one too.

    Browsers say where a request comes from (Origin, Sec-Fetch-Site), scripts send neither.
    """
    if (even_links or request.method not in SAFE_METHODS) and _comes_from_elsewhere(request):
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
        found = serverfiles.resolve(path, (*settings.DIGITS_DATA_ROOTS, *more_roots))
        if _is_of_hidden_job(found):
            raise serverfiles.Outside(path, settings.DIGITS_DATA_ROOTS)
        return found
    except serverfiles.Outside:
        raise serverfiles.Outside(path, settings.DIGITS_DATA_ROOTS) from None
    except (OSError, RuntimeError) as unreadable:  # RuntimeError: links in a circle, up to Python 3.12
        named = serverfiles.shown(path)
        raise BadInput(f"{named} can't be read: no permission, links in a circle, or not a path.") from unreadable


def _is_of_hidden_job(path: Path) -> bool:
    """Whether it lies in the folder of a job that is not shown to the user."""
    jobs = settings.DIGITS_JOBS_DIR.resolve()
    if limited_user() is None or not path.is_relative_to(jobs):
        return False
    return path == jobs or find_visible(path.relative_to(jobs).parts[0]) is None


def is_folder(path: str) -> bool:
    """Whether there is such a folder on the server. Raises BadInput as readable() does."""
    try:
        with serverfiles.open_folder(readable(path), settings.DIGITS_DATA_ROOTS):
            return True
    except OSError:
        return False


def paths_beginning_with(query: str) -> list[str]:
    """The paths that one may go on with after typing `query`, sorted; none of what lies outside of the data roots.

    As in a shell, hidden names are told only to who begins one. On a private server they are for operators.
    """
    if limited_user():
        return []
    query = "/" + query.lstrip("/")
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
    paths = (os.path.normpath(f"{folder.rstrip('/')}/{name}") for name in shown)
    readable = (path for path in paths if not serverfiles.leads_out(path, settings.DIGITS_DATA_ROOTS))
    return list(islice(readable, MOST_SUGGESTIONS))
