"""Limits wrong passwords: after several, an address (or an account at that address) must wait before the next login."""

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied

from digits_project.accounts import audit
from digits_project.accounts.authentication import CachedUsers
from digits_project.accounts.client_address import client_network, sender
from digits_project.common.shared_memory.web_processes import shared

MAX_BY_ADDRESS = 30
MAX_BY_ACCOUNT = 10  # from one address, so that nobody can lock out a user at another address
SECONDS = 300


class ThrottledBackend(CachedUsers, ModelBackend):
    """Django's login by password; after too many wrong passwords even the right one is refused for five minutes."""

    def authenticate(self, request, username=None, password=None, **more):
        if must_wait(request, username):
            raise PermissionDenied  # ends django.contrib.auth.authenticate without asking another backend
        return super().authenticate(request, username=username, password=password, **more)


def must_wait(request, username: str | None) -> bool:
    """Whether the last minutes had too many wrong passwords."""
    by_address, by_account = shared().counters.values(*_keys(request, username))
    return by_address >= MAX_BY_ADDRESS or by_account >= MAX_BY_ACCOUNT


def on_failure(sender, credentials, request=None, **signal) -> None:
    """Count a failed login; the one that reaches the limit goes to the audit log."""
    username = str(credentials.get("username", ""))
    if must_wait(request, username):
        return
    for key in _keys(request, username):
        shared().counters.add(key, 1, SECONDS)
    audit.record("fail to log in", username, "too many failures: must wait" if must_wait(request, username) else "")


def _keys(request, username: str | None) -> tuple[str, str]:
    address = client_network(sender(request)) if request else ""
    return f"logins-{address}", f"logins-{address}-{username or ''}"
