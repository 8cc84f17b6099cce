"""Decides before a body is read: who sends the request, how large its body can be, and which threads it gets."""

import hashlib
import logging
import re
import time
from io import BytesIO
from types import SimpleNamespace

from django.conf import settings
from django.contrib import auth
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.wsgi import WSGIRequest
from django.db import close_old_connections
from django.http import HttpResponse
from gunicorn.util import unquote_to_wsgi_str
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.views import APIView

from digits_project.accounts import permissions
from digits_project.accounts.client_address import client_network, sender
from digits_project.api import uploads
from digits_project.server.connection import OpenAdmission, Terms
from digits_project.server.fair_share import Caller
from digits_project.server.url_prefix import without_prefix

log = logging.getLogger(__name__)

KNOWN_SECONDS = 30.0  # cache of the owners of sessions and tokens; each view still checks that they are valid
MAX_KNOWN = 5000
AWAY_SECONDS = 5.0  # pause of lookups after the database could not be reached
AWAY = 503, "The server can't reach its database just now. Nothing is lost; try again in a moment."
DOWNLOAD = re.compile(r"/(models|datasets)/.*download.*")
OWN_LANES = {"/healthz": "healthz", "/readyz": "readyz"}


OWN_MACHINE = {client_network(address) for address in permissions.OWN_MACHINE}


class Admission(OpenAdmission):
    """The terms of this server. A client that the views will refuse can send only a body as large as a login form:
    with DIGITS_AUTH=required a client without a login, on an open server a client on another machine."""

    def __init__(self):
        self.behind_proxy = settings.DIGITS_HTTPS
        self.max_arriving = 2 * settings.DIGITS_MAX_UPLOAD << 20
        self.too_much = (
            429,
            (
                f"You are already sending more than {self.max_arriving >> 20} MiB at once. Wait until some of it has "
                "arrived."
            ),
        )
        self._known: dict[bytes, tuple[float, Caller | None]] = {}
        self._away_until = 0.0

    def caller(self, request, address: str) -> Caller | None:
        """The caller of this request; None if look_up() is needed."""
        anonymous, credentials = _anonymous(request, address), _credentials(request)
        if not permissions.has_accounts():
            return Caller(anonymous.key, (anonymous.key,)) if _is_here(request, address) else anonymous
        if credentials is None:
            return anonymous
        moment, known = self._known.get(credentials, (0.0, None))
        if time.monotonic() - moment < KNOWN_SECONDS:
            return known or anonymous
        return anonymous if time.monotonic() < self._away_until else None

    def sender(self, request, address: str) -> Caller:
        """The caller that look_up()'s thread is charged to: the address, behind a proxy the forwarded one."""
        return Caller(_anonymous(request, address).key, logged_in=False)

    def look_up(self, request, address: str) -> Caller:
        """The caller, from the database, in a thread. The result is cached for the loop."""
        try:
            close_old_connections()
            user = user_of(request.headers)
        except Exception as failure:  # noqa: BLE001 - the view gets the same exception and reports it
            log.warning("Could not look up the user of a request: %s", failure)
            self._away_until = time.monotonic() + AWAY_SECONDS
            return _anonymous(request, address)
        finally:
            close_old_connections()
        key = f"user {user.pk}" if user else ""
        known = Caller(key, (key,)) if user else None
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        if credentials := _credentials(request):
            self._known[credentials] = time.monotonic(), known
        return known or _anonymous(request, address)

    def terms(self, request, caller: Caller) -> Terms:
        path = without_prefix(unquote_to_wsgi_str(request.path), settings.DIGITS_URL_PREFIX)
        path = "/" + path.lstrip("/")
        content_type = dict(request.headers).get("CONTENT-TYPE", "")
        if "*" in content_type.partition(";")[2]:
            return Terms(
                refusal=(
                    400,
                    "A parameter of the Content-Type has an encoding of its own (name*=…). Send it without.",
                )
            )
        limit, too_large = uploads.limit(path, content_type)
        if not caller.logged_in and limit > uploads.MAX_ANONYMOUS_BODY:
            limit, too_large = uploads.MAX_ANONYMOUS_BODY, uploads.LOG_IN_FIRST
            if not permissions.has_accounts():
                too_large = 403, permissions.OWN_MACHINE_ONLY
            elif time.monotonic() < self._away_until:
                too_large = AWAY
        lane = OWN_LANES.get(path) or ("downloads" if DOWNLOAD.fullmatch(path) else "requests")
        return Terms(lane, limit, too_large)


def _anonymous(request, address: str) -> Caller:
    headers = {"X-Forwarded-For": dict(request.headers).get("X-FORWARDED-FOR", "")}
    address = client_network(sender(SimpleNamespace(headers=headers, META={"REMOTE_ADDR": address})))
    return Caller(f"address {address}", (f"address {address}", "strangers"), logged_in=False)


def _is_here(request, address: str) -> bool:
    """Whether the request comes from this machine."""
    return address in OWN_MACHINE and all(name != "X-FORWARDED-FOR" for name, _ in request.headers)


def _credentials(request) -> bytes | None:
    """The session or token of the request; None without one."""
    credentials = [f"{name}:{value}" for name, value in request.headers if name in ("AUTHORIZATION", "COOKIE")]
    return hashlib.sha256("\n".join(credentials).encode()).digest() if credentials else None


def user_of(headers):
    """The user of the session or token in these headers, (name, value) each, as the views see it, or None."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": BytesIO()}
    environ |= {f"HTTP_{name}": value for name, value in headers if name in ("AUTHORIZATION", "COOKIE")}
    asked = WSGIRequest(environ)
    SessionMiddleware(lambda asked: HttpResponse()).process_request(asked)
    asked.user = auth.get_user(asked)
    try:
        user = Request(asked, authenticators=APIView().get_authenticators()).user
    except APIException:
        return None
    return user if user and user.is_authenticated else None
