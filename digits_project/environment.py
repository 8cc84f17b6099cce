"""Reads environment variables: each function returns a checked value, or raises with a message that says what is
wrong."""

import hashlib
import ipaddress
import os
import re
import secrets
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from digits_project.stack.embedded import running_urls
from digits_project.stack.home import NotOurs, read_own

TRUE = {"y", "yes", "true", "on", "1"}
FALSE = {"", "n", "no", "false", "off", "0"}
CONNECT_SECONDS = 5  # after that the database counts as unreachable
# First parts of our routes. With such a prefix, some URLs would be ambiguous.
OWN_PATHS = {"abort_jobs", "about", "account", "admin", "api", "autocomplete", "clone", "completed_jobs", "datasets"}
OWN_PATHS |= {"events", "files", "group", "healthz", "index", "jobs", "login", "logout", "metrics", "models", "oidc"}
OWN_PATHS |= {"pages", "pretrained_models", "readyz", "searches", "static", "uploads"}


def secret(name: str) -> str:
    """The variable, or the contents of the file that NAME_FILE names (as container secrets); '' without either."""
    value, path = os.environ.get(name, ""), os.environ.get(f"{name}_FILE")
    if not path:
        return value
    if value:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; set only one of them")
    try:
        value = Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"{name}_FILE can't be read: {error}") from None
    if not value:
        raise ImproperlyConfigured(f"{name}_FILE, {path}, is empty")
    return value


def flag(name: str) -> bool:
    """A boolean, False if the variable is unset: y yes true on 1, or n no false off 0."""
    value = os.environ.get(name, "off").lower()
    if value not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be on or off")
    return value in TRUE


def private(name: str, auth: str) -> bool:
    """A boolean that can be on only with accounts."""
    value = flag(name)
    if value and auth != "required":
        raise ImproperlyConfigured(f"{name} is on, and DIGITS_AUTH is {auth}: it needs DIGITS_AUTH=required")
    return value


def choice(name: str, *choices: str) -> str:
    """One of `choices`; the first if the variable is unset."""
    value = os.environ.get(name) or choices[0]
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be {' or '.join(choices)}")
    return value


def interpreter(name: str, own: Path) -> str:
    """The path of a Python: the variable, else `own` if it exists, else ''. Whether it runs is checked where it is
    used."""
    if value := os.environ.get(name):
        return str(Path(value).expanduser().absolute())
    return str(own) if own.exists() else ""


def issuer(name: str) -> str:
    """The address of an OpenID Connect provider, without a trailing slash; '' if the variable is unset."""
    value = os.environ.get(name, "").rstrip("/")
    parts = urlsplit(value)
    is_here = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if value and not (parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and is_here))):
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be an address that begins with https://")
    if value and not os.environ.get("DIGITS_OIDC_CLIENT_ID"):
        raise ImproperlyConfigured(f"{name} is set, and DIGITS_OIDC_CLIENT_ID is not: set both")
    return value


def mapping(name: str) -> list[tuple[str, str]]:
    """Pairs separated by commas: provider-group=own-group,provider-group=own-group."""
    pairs = [part.strip().rpartition("=") for part in os.environ.get(name, "").split(",") if part.strip()]
    if wrong := next((right for left, _, right in pairs if not (left and right)), None):
        raise ImproperlyConfigured(f"{name} has {wrong!r}; it must be pairs like provider-group=operator")
    return [(left.strip(), right.strip()) for left, _, right in pairs]


def number(name: str, default: int) -> int:
    """A whole number from 0."""
    value = os.environ.get(name) or str(default)
    if not value.isascii() or not value.isdigit():
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a whole number from 0")
    return int(value)


def networks(name: str) -> list[str]:
    """Networks separated by commas, such as 10.0.0.0/8,192.168.1.5/32."""
    given = [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]
    for network in given:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} has {network!r}; it must be networks like 10.0.0.0/8: {error}"
            ) from None
    return given


def ports(name: str) -> range:
    """A range of ports, written as FIRST-LAST; empty if the variable is not set."""
    value = os.environ.get(name, "")
    if not value:
        return range(0)
    first, _, last = (int(part) if part.isascii() and part.isdigit() else 0 for part in value.partition("-"))
    if not 0 < first <= last < 2**16:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be two ports such as 29500-29599")
    return range(first, last + 1)


def paths(name: str, default: str) -> list[Path]:
    """Absolute folders, separated by colons as in PATH; for a folder that is reached through links also its real
    path."""
    named = [Path(part).expanduser().absolute() for part in os.environ.get(name, default).split(":") if part]
    return list(dict.fromkeys(Path(os.path.normpath(path)) for folder in named for path in (folder, folder.resolve())))


def url_prefix(name: str) -> str:
    """The path of a site under which the server is: "" for the top, else with a leading and no trailing slash."""
    value = os.environ.get(name, "").strip("/")
    prefix = f"/{value}" if value else ""
    if not re.fullmatch(r"(/[\w~-][\w.~-]*)*", prefix, re.ASCII):
        raise ImproperlyConfigured(f"{name} is {os.environ[name]!r}; it must be a path like /digits")
    if (first := value.partition("/")[0]).partition(".")[0] in OWN_PATHS:
        raise ImproperlyConfigured(f"{name} is {os.environ[name]!r}, but /{first} is a path of the server's own")
    return prefix


def folder(path: Path) -> Path:
    """The folder, created with mode 0700 if it does not exist."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def service_url(name: str, home: Path) -> str:
    """The URL in the variable or its file, else that of the embedded service running on `home`, else ''."""
    try:
        return secret(name) or running_urls(home).get(name, "")
    except NotOurs as strange:
        raise ImproperlyConfigured(str(strange)) from None


def database(url: str) -> dict:
    """Django's settings for `postgresql://user:password@host:port/name?host=/socket/folder`."""
    parts = urlsplit(url)
    if url and parts.scheme not in ("postgres", "postgresql"):
        raise ImproperlyConfigured(f"DATABASE_URL has the scheme {parts.scheme!r}; it must be postgresql://")
    query = parse_qs(parts.query)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "digits",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host", [unquote(parts.hostname or "")])[0],
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": CONNECT_SECONDS},
    }


def secret_key(home: Path) -> str:
    """SECRET_KEY or the contents of its file, else the key in `home`, generated on the first start (mode 0600)."""
    if given := secret("SECRET_KEY"):
        return given
    path = home / "secret_key"
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    try:
        return read_own(path, home)
    except NotOurs as strange:
        raise ImproperlyConfigured(str(strange)) from None


def server_id(home: Path, key: str) -> str:
    """Eight hex digits for cookie names, because browsers send the cookies of a host to every port of it.

    They do not change with the port, and do not reveal the key.
    """
    return hashlib.sha256(f"server id\0{home}\0{key}".encode()).hexdigest()[:8]
