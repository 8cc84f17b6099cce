"""Authenticates a request by its session or its token."""

from copy import copy
from functools import partial

from django.contrib.auth.backends import BaseBackend
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed

from digits_project.accounts import tokens
from digits_project.accounts.permissions import refuse_other_sites
from digits_project.common import row_cache


class Session(SessionAuthentication):
    """Django's login session; without a login the response is 401, not 403.

    In place of Django's CSRF token, the headers in which browsers name the page's site are checked, because scripts
    that log in have no page to take a token from.
    """

    def authenticate_header(self, request) -> str:
        return "Session"

    def enforce_csrf(self, request) -> None:
        refuse_other_sites(request)


class Token(BaseAuthentication):
    """The header `Authorization: Token …`, with a token from `manage.py token` or the admin."""

    def authenticate(self, request):
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "token":
            return None
        token = tokens.find(secret.strip())
        if token is None:
            raise AuthenticationFailed("There is no such token, or it was withdrawn.")
        if token.has_expired:
            raise AuthenticationFailed(f"This token expired at {token.expires_at:%Y-%m-%d %H:%M} UTC; make another.")
        return copy(token.user), token  # views can change the user, and the token is cached

    def authenticate_header(self, request) -> str:
        return "Token"


class CachedUsers(BaseBackend):
    """For a login backend: caches the users of its sessions. Each backend has users of its own, because one backend can
    refuse a user that another one accepts."""

    def get_user(self, user_id):
        """The user of a session; a copy, because views can change it."""
        return copy(row_cache.cached(("user", type(self), user_id), partial(super().get_user, user_id)))
