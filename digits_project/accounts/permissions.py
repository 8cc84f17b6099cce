"""Permissions: who may use the server, and from which sites."""

from django.conf import settings
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission

from digits_project.accounts.models import AccessToken, Scope
from digits_project.accounts.roles import Role, role_of

OWN_MACHINE = ("", "127.0.0.1", "::1")  # addresses; none on a Unix socket
OWN_MACHINE_ONLY = (
    "This server accepts requests only from its own machine. To open it to others, set DIGITS_AUTH=required."
)


class MayUse(BasePermission):
    """The permission to use the server.

    With DIGITS_AUTH=required, users can do what their group allows. With open, every request from this machine is
    allowed, unless a page of another site sent it. A view's `role` is needed for requests that change something, its
    `reading_role` for all others.
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
            raise PermissionDenied(
                f"This needs an account of the group {needed.group}; your account is in the group {role.group}."
            )
        _refuse_beyond_scope(request, Scope.READ if name == "reading_role" else scope_of(needed))
        return True


def scope_of(needed: Role) -> Scope:
    """The scope that a token needs for a request that is not a GET. Viewers can only send inference requests."""
    return Scope.INFER if needed == Role.VIEWER else Scope.ALL


def _refuse_beyond_scope(request, scope: Scope) -> None:
    """Raise PermissionDenied if the request's token does not have this scope."""
    token = request.auth
    if isinstance(token, AccessToken) and not token.allows(scope):
        raise PermissionDenied(f"This needs a token with the scope {scope}; this token has the scope {token.scope}.")


def refuse_to_change(request, job) -> None:
    """Raise PermissionDenied unless the job is the user's own or the user is an operator."""
    role = role_of(request.user)
    is_operator = role is not None and role >= Role.OPERATOR
    if has_accounts() and not is_operator and job.owner != request.user.get_username():
        whose = f"It is {job.owner}'s" if job.owner else "It is nobody's"
        raise PermissionDenied(f"{whose}; only its owner and operators may do that.")


def may_change(request, job) -> bool:
    """Whether the job is the user's own or the user is an operator."""
    try:
        refuse_to_change(request, job)
    except PermissionDenied:
        return False
    return True


def refuse_strangers(request) -> None:
    """Raise PermissionDenied for a request to an open server that does not come from this machine."""
    if request.META.get("REMOTE_ADDR", "") not in OWN_MACHINE or "X-Forwarded-For" in request.headers:
        raise PermissionDenied(OWN_MACHINE_ONLY)


def may_enter_admin(request) -> bool:
    """Whether Django's admin lets this request's user in."""
    return request.user.is_active and request.user.is_staff


def has_accounts() -> bool:
    return settings.DIGITS_AUTH == "required"


def refuse_other_sites(request, even_links: bool = False) -> None:
    """Raise PermissionDenied if a page of another site sent the request. GETs are allowed, unless `even_links`.

    Browsers name the page's site in the headers Origin and Sec-Fetch-Site. Scripts send neither.
    """
    if (even_links or request.method not in SAFE_METHODS) and _is_cross_site(request):
        raise PermissionDenied(
            "A page of another site sent this request; this server accepts it only from its own pages."
        )


def _is_cross_site(request) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.get_host():
        return True
    return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
