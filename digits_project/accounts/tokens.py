"""Creates, finds and withdraws tokens."""

import hashlib
import secrets
from datetime import datetime, timedelta
from functools import partial

from django.core.exceptions import ValidationError
from django.utils import timezone

from digits_project.accounts import audit
from digits_project.accounts.models import AccessToken, Scope
from digits_project.common import row_cache

PREFIX = "digits_"  # lets scanners for leaked secrets recognise a token
USE_IS_NOTED_EVERY = timedelta(minutes=1)


def issue(user, name: str, scope: str = Scope.ALL, expires_at: datetime | None = None) -> tuple[AccessToken, str]:
    """A new token of that user, and its secret, which is shown now and never again. Raises ValidationError."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token = AccessToken(user=user, name=name, scope=scope, expires_at=expires_at, digest=_digest(secret))
    token.full_clean()
    if token.has_expired:
        raise ValidationError(
            {"expires_at": "This time is in the past: the token would never work. Choose a later time."}
        )
    token.save()
    until = f", until {expires_at:%Y-%m-%d %H:%M}" if expires_at else ""
    audit.record("make token", str(token), f"scope {token.scope}{until}")
    return token, secret


def withdraw(token: AccessToken) -> None:
    """Withdraw a token: it is refused from now on."""
    token.delete()
    audit.record("withdraw token", str(token))


def find(secret: str) -> AccessToken | None:
    """The token of that secret if it was not withdrawn and its user is active, else None. It can be expired."""
    digest = _digest(secret)
    found = row_cache.cached(("token", digest), partial(_find_active, digest))
    if found is None:
        return None
    now = timezone.now()
    if found.has_expired:
        return found
    if found.last_used_at is None or found.last_used_at < now - USE_IS_NOTED_EVERY:
        AccessToken.objects.filter(pk=found.pk).update(last_used_at=now)
    return found


def _find_active(digest: str) -> AccessToken | None:
    return AccessToken.objects.select_related("user").filter(digest=digest, user__is_active=True).first()


def _digest(secret: str) -> str:
    """The digest of a secret, without salt or stretching: 256 random bits can't be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()
