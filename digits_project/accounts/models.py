"""Tokens for scripts, identities of an OpenID Connect provider, and the audit log."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class Scope(models.TextChoices):
    """The requests that a token allows. Each scope includes the ones before it."""

    READ = "read", "read: look at jobs, download models"
    INFER = "infer", "infer: also classify images with models"
    ALL = "all", "all: everything that the user may do"


class AccessToken(models.Model):
    """A secret that authenticates a user: `Authorization: Token …`. Only its digest is stored."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_tokens")
    name = models.CharField(max_length=100, help_text="What the token is for, such as the script that uses it.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scope = models.CharField(max_length=5, choices=Scope, default=Scope.ALL)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="UTC; empty: the token works until it is withdrawn."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False, help_text="Rounded to the minute.")

    class Meta:
        ordering = ["-created_at"]

    def __str__(self):
        return f"{self.name} of {self.user}"

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def allows(self, scope: Scope) -> bool:
        """Whether the token allows requests of that scope."""
        order = list(Scope)
        return order.index(Scope(self.scope)) >= order.index(scope)


class OidcIdentity(models.Model):
    """The user of an OpenID Connect provider (issuer and `sub`) who logs in to an account."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="oidc_identities")
    issuer = models.CharField(max_length=255, help_text="The provider's address, as in DIGITS_OIDC_ISSUER.")
    subject = models.CharField(max_length=255, help_text="The provider's name for the user: the claim `sub`.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="oidc_identity_once")]
        verbose_name = "OIDC identity"
        verbose_name_plural = "OIDC identities"

    def __str__(self):
        return f"{self.subject} at {self.issuer}"


class AuditEntry(models.Model):
    """An entry of the audit log. Entries are never changed."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.CharField(max_length=200, blank=True)  # on an open server the name that the client sent
    address = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=20)
    subject = models.CharField(max_length=300)
    detail = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name, verbose_name_plural = "audit log entry", "audit log entries"

    def __str__(self):
        return f"{self.actor or 'somebody'}: {self.action} {self.subject}"
