"""How a request says whose it is: a session or a token."""

from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed

from digits_project.accounts import tokens
from digits_project.accounts.permissions import refuse_other_sites


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
