"""Tokens: made, checked and withdrawn."""

import hashlib
import secrets
from datetime import timedelta

from django.utils import timezone

from digits_project.accounts import audit
from digits_project.accounts.models import AccessToken

PREFIX = "digits_"  # by which scanners for leaked secrets know one
USE_IS_NOTED_EVERY = timedelta(minutes=1)


def issue(user, name: str) -> tuple[AccessToken, str]:
    """A new token of that user and its secret, which is shown to him now and never again. Raises ValidationError."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token = AccessToken(user=user, name=name, digest=_digest(secret))
    token.full_clean()
    token.save()
    audit.record("make token", str(token))
    return token, secret


def withdraw(token: AccessToken) -> None:
    """From now on nobody gets in with it."""
    token.delete()
    audit.record("withdraw token", str(token))


def user_of(secret: str):
    """The active user whom the secret stands for, or None."""
    found = AccessToken.objects.select_related("user").filter(digest=_digest(secret), user__is_active=True).first()
    if found is None:
        return None
    now = timezone.now()
    if found.last_used_at is None or found.last_used_at < now - USE_IS_NOTED_EVERY:
        AccessToken.objects.filter(pk=found.pk).update(last_used_at=now)
    return found.user


def _digest(secret: str) -> str:
    """Without salt or stretching: the secret has 256 random bits, so there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()
