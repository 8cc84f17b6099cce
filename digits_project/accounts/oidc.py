"""Login at an OpenID Connect provider (DIGITS_OIDC_ISSUER): authorization code flow with PKCE, state and nonce.

mozilla-django-oidc implements the protocol. This module adds: the provider's addresses come from its discovery
document; the ID token must be for this client; an account is found by the provider's `sub`, never by a name or an email
address; and the groups in the provider's claims decide what the account may do."""

import logging
from collections.abc import Iterable

import jwt
import requests
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.exceptions import SuspiciousOperation
from django.db import transaction
from django.http import Http404, HttpResponseRedirect
from django.urls import reverse
from django.views import View
from mozilla_django_oidc import auth, utils, views

from digits_project.accounts import audit
from digits_project.accounts.authentication import CachedUsers
from digits_project.accounts.models import OidcIdentity
from digits_project.accounts.roles import Role
from digits_project.accounts.usernames import USER_NAME

log = logging.getLogger(__name__)

DISCOVERY = "/.well-known/openid-configuration"
DISCOVERY_SECONDS = 3600
ENDPOINTS = {
    "OIDC_OP_AUTHORIZATION_ENDPOINT": "authorization_endpoint",
    "OIDC_OP_TOKEN_ENDPOINT": "token_endpoint",  # nosec B105 (a name)
    "OIDC_OP_USER_ENDPOINT": "userinfo_endpoint",
    "OIDC_OP_JWKS_ENDPOINT": "jwks_uri",
}
FAILURES = (requests.RequestException, jwt.PyJWTError, SuspiciousOperation, KeyError, ValueError, TypeError)
LOGIN_FAILED = "You could not be logged in at {}; the server's log says why. Try again, or ask an operator."


class Denied(Exception):
    """The provider authenticated the user, but this server does not let them in; the text tells the user why."""


def discovered() -> dict:
    """The provider's discovery document. Raises RequestException, or SuspiciousOperation if it is of another issuer."""
    key = f"oidc-{settings.DIGITS_OIDC_ISSUER}"
    document = cache.get(key)
    if document is None:
        response = requests.get(settings.DIGITS_OIDC_ISSUER + DISCOVERY, timeout=settings.OIDC_TIMEOUT)
        response.raise_for_status()
        document = response.json()
        if document.get("issuer", "").rstrip("/") != settings.DIGITS_OIDC_ISSUER:
            raise SuspiciousOperation(f"The discovery document belongs to another issuer, {document.get('issuer')!a}.")
        cache.set(key, document, DISCOVERY_SECONDS)
    return document


def setting(name, *default):
    """A setting of mozilla-django-oidc; addresses come from the provider's discovery document."""
    return discovered()[ENDPOINTS[name]] if name in ENDPOINTS else utils.import_from_settings(name, *default)


class OidcBackend(CachedUsers, auth.OIDCAuthenticationBackend):
    """Authenticates the users of the provider."""

    get_settings = staticmethod(setting)

    def __init__(self):
        """Make no request to the provider, because Django creates a backend for every permission check."""
        self.OIDC_RP_CLIENT_ID = settings.OIDC_RP_CLIENT_ID
        self.OIDC_RP_CLIENT_SECRET = settings.OIDC_RP_CLIENT_SECRET
        self.OIDC_RP_SIGN_ALGO = settings.OIDC_RP_SIGN_ALGO
        self.OIDC_RP_IDP_SIGN_KEY = None
        self.UserModel = get_user_model()

    OIDC_OP_TOKEN_ENDPOINT = property(lambda self: setting("OIDC_OP_TOKEN_ENDPOINT"))
    OIDC_OP_USER_ENDPOINT = property(lambda self: setting("OIDC_OP_USER_ENDPOINT"))
    OIDC_OP_JWKS_ENDPOINT = property(lambda self: setting("OIDC_OP_JWKS_ENDPOINT"))

    def authenticate(self, request, **credentials):
        """Authenticate only the provider's callback, which has a nonce; a login form with name and password has
        none."""
        return super().authenticate(request, **credentials) if credentials.get("nonce") else None

    def verify_token(self, token, **more):
        payload = super().verify_token(token, **more)
        audience = payload.get("aud")
        if self.OIDC_RP_CLIENT_ID not in (audience if isinstance(audience, list) else [audience]):
            raise SuspiciousOperation("The ID token was issued for another client.")
        if str(payload.get("iss", "")).rstrip("/") != settings.DIGITS_OIDC_ISSUER:
            raise SuspiciousOperation("The ID token is from another issuer.")
        if "exp" not in payload:
            raise SuspiciousOperation("The ID token never expires.")
        return payload

    def get_or_create_user(self, access_token, id_token, payload):
        claims = self.get_userinfo(access_token, id_token, payload)
        if not payload.get("sub") or claims.get("sub") != payload["sub"]:
            raise SuspiciousOperation("The ID token and the user's claims name different users.")
        return account_of(payload | claims)


@transaction.atomic
def account_of(claims: dict):
    """The account for these claims, created on the first login, with the groups that the claims give. Raises Denied."""
    identity_key = {"issuer": settings.DIGITS_OIDC_ISSUER, "subject": str(claims["sub"])}
    identity = OidcIdentity.objects.select_related("user").filter(**identity_key).first()
    user = identity.user if identity else _new_account(identity_key, claims)
    _give_groups(user, claims.get(settings.DIGITS_OIDC_GROUPS_CLAIM, []))
    return user


def _new_account(identity_key: dict, claims: dict):
    users = get_user_model().objects
    name = str(claims.get("preferred_username") or claims.get("email") or "")
    if not USER_NAME.match(name):
        raise Denied(
            f"The provider's name for this user, {name[:150]!a}, can't be the name of an account here: a name has "
            "up to 150 letters, digits and @.+-_, without blanks."
        )
    if users.filter(username__iexact=name).exists():
        raise Denied(
            f"An account {name} exists already, and nothing connects it with your login at the provider. A "
            f"superuser can connect it, in the admin under OIDC identities, with the subject {identity_key['subject']}."
        )
    user = users.create_user(name, email=str(claims.get("email") or "")[:254])
    OidcIdentity.objects.create(user=user, **identity_key)
    audit.record("make account", name, f"of {identity_key['subject']} at {identity_key['issuer']}")
    return user


def _give_groups(user, claimed: object) -> None:
    """Give the account exactly those groups of DIGITS_OIDC_GROUPS that the claims name; groups that are not in
    DIGITS_OIDC_GROUPS do not change. Operators may use the admin."""
    mapping = settings.DIGITS_OIDC_GROUPS
    wanted = {own_group for provider_group, own_group in mapping if provider_group in _names(claimed)}
    managed = {own_group for _, own_group in mapping}
    before = set(user.groups.filter(name__in=managed).values_list("name", flat=True))
    if before == wanted:
        return
    user.groups.remove(*Group.objects.filter(name__in=managed - wanted))
    user.groups.add(*(Group.objects.get_or_create(name=name)[0] for name in sorted(wanted)))
    if Role.OPERATOR.group in managed:
        user.is_staff = Role.OPERATOR.group in wanted
        user.save(update_fields=["is_staff"])
    audit.record("change groups", user.get_username(), ", ".join(sorted(wanted)) or "none")


def _names(claimed: object) -> set[str]:
    """The groups of a claim: a list of names, or one name; a claim of another type names none."""
    if isinstance(claimed, str):
        return {claimed}
    return set(map(str, claimed)) if isinstance(claimed, Iterable) else set()


class _Configured(View):
    """A mixin for a view that exists only if a provider is configured. Errors lead back to the login page."""

    get_settings = staticmethod(setting)

    def dispatch(self, request, *args, **kwargs):
        if not settings.DIGITS_OIDC_ISSUER:
            raise Http404("This server has no OpenID Connect provider.")
        try:
            return super().dispatch(request, *args, **kwargs)
        except Denied as why:
            return self.refused(str(why))
        except FAILURES as failure:
            log.warning("OpenID Connect: %a", failure)
            return self.login_failure()

    def login_failure(self):
        return self.refused(LOGIN_FAILED.format(settings.DIGITS_OIDC_NAME))

    def refused(self, why: str):
        messages.error(self.request, why)
        return HttpResponseRedirect(reverse("login"))


class OidcBegin(_Configured, views.OIDCAuthenticationRequestView):
    """Redirects the browser to the provider."""

    OIDC_OP_AUTH_ENDPOINT = property(lambda self: setting("OIDC_OP_AUTHORIZATION_ENDPOINT"))

    def __init__(self, **kwargs):
        super(views.OIDCAuthenticationRequestView, self).__init__(**kwargs)
        self.OIDC_RP_CLIENT_ID = settings.OIDC_RP_CLIENT_ID


class OidcCallback(_Configured, views.OIDCAuthenticationCallbackView):
    """The address to which the provider redirects the browser back."""

    @property
    def success_url(self):
        return self.request.session.get("oidc_login_next") or reverse("home")
