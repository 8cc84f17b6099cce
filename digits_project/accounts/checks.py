"""`manage.py check --deploy`: finds settings that would leave the server open."""

import stat
from pathlib import Path

from django.conf import settings
from django.core.checks import Error, register

LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}


@register(deploy=True)
def unsafe_combinations(app_configs, **options) -> list[Error]:
    """Errors for settings that are safe one by one, but together let strangers in."""
    is_open = settings.DIGITS_AUTH == "open"
    found = []
    if "*" in settings.ALLOWED_HOSTS:
        found.append(
            _error(
                "E001",
                "ALLOWED_HOSTS holds *: any page that a browser visits can reach this server.",
                "List the host names of this server instead.",
            )
        )
    elif is_open and (strangers := sorted(set(settings.ALLOWED_HOSTS) - LOOPBACK)):
        found.append(
            _error(
                "E002",
                f"DIGITS_AUTH is open and ALLOWED_HOSTS holds {', '.join(strangers)}: anyone who can reach the "
                "server under that name can do everything.",
                "Set DIGITS_AUTH=required.",
            )
        )
    if not is_open and Path("/") in settings.DIGITS_DATA_ROOTS:
        found.append(
            _error(
                "E003",
                "DIGITS_DATA_ROOTS is /: every account can read every file of this host.",
                "Name only the folders that hold images.",
            )
        )
    private = (settings.DIGITS_HOME, settings.DIGITS_JOBS_DIR, settings.DIGITS_HOME / "embedded")
    if not is_open and any(
        root != Path("/") and home.is_relative_to(root) for home in private for root in settings.DIGITS_DATA_ROOTS
    ):
        found.append(
            _error(
                "E004",
                "DIGITS_HOME lies inside DIGITS_DATA_ROOTS: every account can read its keys.",
                "Name a folder outside of DIGITS_HOME, or one inside it that holds only images.",
            )
        )
    return found + _readable_secrets()


def _readable_secrets() -> list[Error]:
    secrets = [settings.DIGITS_HOME / "secret_key", *settings.DIGITS_HOME.glob("embedded/*.json")]
    exposed = [path for path in secrets if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    return [_error("E005", f"{path} can be read by other users of this host.", f"chmod 600 {path}") for path in exposed]


def _error(number: str, what: str, mend: str) -> Error:
    return Error(what, hint=mend, id=f"digits.{number}")
