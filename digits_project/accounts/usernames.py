"""User names: which are allowed (Django's rule, ASCII only, because a cookie carries them), and who owns a new job."""

import re

from django.conf import settings
from django.http import HttpResponse

from digits_project.accounts.permissions import has_accounts

USER_NAME = re.compile(r"\A[A-Za-z0-9@.+_-]{1,150}\Z")
USER_NAME_RULE = "A name has up to 150 letters, digits and @.+-_, without blanks."


USER_COOKIE = "username"  # DIGITS's cookie, which its clients send
OWN_USER_COOKIE = f"digits_username_{settings.DIGITS_ID}"  # the same, for this server only


def owner(request, named: object = None) -> str:
    """The owner of a job that this request creates: the logged-in user; on an open server `named`, else the cookie."""
    if request.user.is_authenticated:
        return request.user.get_username()
    cookies = (request.COOKIES.get(name, "") for name in (OWN_USER_COOKIE, USER_COOKIE))
    claimed = "" if has_accounts() else str(named or next(filter(None, cookies), ""))
    return claimed if USER_NAME.match(claimed) else ""


def remember_name(response: HttpResponse, name: str) -> None:
    """Set the cookies with which an open server's client sends this name from now on."""
    for cookie in (USER_COOKIE, OWN_USER_COOKIE):
        response.set_cookie(cookie, name, path=settings.SESSION_COOKIE_PATH, httponly=True, samesite="Lax")


def forget_name(response: HttpResponse) -> None:
    """Delete these cookies."""
    for cookie in (USER_COOKIE, OWN_USER_COOKIE):
        response.delete_cookie(cookie, path=settings.SESSION_COOKIE_PATH, samesite="Lax")
