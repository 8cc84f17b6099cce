"""Fetches an image from a URL that a user names, or sends to one, on the public internet only (protects against SSRF).

The host name is resolved once, every address must be allowed, and the connection goes to a checked address, never to
the name, so a name server that changes its answers gains nothing. TLS still checks the certificate against the name.
Proxies are not used, nothing is decompressed, and a redirect is a new URL that is checked from the start."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from digits_project.common.errors import BadInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_LETTERS = 4096  # characters of a URL
_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_BLOCK = 1 << 16
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_TUNNELS = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))  # 6to4, Teredo: lead to an IPv4 host


class BadURL(BadInput):
    """The URL is not allowed, or returned no image; the text says why."""


def is_public(address: Address) -> bool:
    """Whether an address, and an IPv4 address embedded in it, belongs to the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _GLOBAL_UNICAST or any(address in tunnel for tunnel in _TUNNELS):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


@dataclass(frozen=True)
class FetchPolicy:
    """Which addresses a fetch may connect to, and its limits in bytes, seconds and redirects."""

    allowed: Callable[[Address], bool] = is_public
    ports: frozenset[int] | None = frozenset({80, 443, 8080, 8443})
    most_bytes: int = 32 << 20
    seconds: float = 20
    redirects: int = 3


def fetch(url: str, policy: FetchPolicy = FetchPolicy()) -> bytes:
    """The body of the response to a GET of the URL. Raises BadURL."""
    deadline = time.monotonic() + policy.seconds
    for _ in range(policy.redirects + 1):
        parts = _checked(url, policy)
        addresses = _resolved(parts, policy, deadline)
        with _response(parts, addresses, policy, deadline, GET) as response:
            if response.status not in _REDIRECTS:
                return _body(response, url, policy, deadline)
            url = urljoin(url, response.headers.get("Location", ""))
    raise BadURL(f"The URL redirects more than {policy.redirects} times.")


def post(url: str, body: bytes, headers: dict[str, str], policy: FetchPolicy) -> int:
    """The status of the response to a POST; no redirect is followed. Raises BadURL."""
    deadline = time.monotonic() + policy.seconds
    parts = _checked(url, policy)
    addresses = _resolved(parts, policy, deadline)
    with _response(parts, addresses, policy, deadline, _Request("POST", body, headers)) as response:
        return response.status


def check(url: str, policy: FetchPolicy) -> None:
    """Raise BadURL if the URL is not allowed, or its host has no allowed address at present."""
    _resolved(_checked(url, policy), policy, time.monotonic() + policy.seconds)


class _Request(NamedTuple):
    method: str
    body: bytes | None
    headers: dict[str, str]


GET = _Request("GET", None, {"Accept": "image/*"})


def _checked(url, policy) -> SplitResult:
    """The parts of a URL, checked for scheme, length, port and credentials."""
    if len(url) > MAX_LETTERS or not url.isprintable() or " " in url or "\\" in url:
        raise BadURL(f"A URL has at most {MAX_LETTERS} letters, and no blanks or backslashes.")
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").encode("idna").decode()
    except ValueError as error:  # UnicodeError is one
        raise BadURL(f"This is not a URL: {error}.") from error
    if parts.scheme not in _PORTS or not host:
        raise BadURL("Only URLs that begin with http:// or https:// and name a host are fetched.")
    if "@" in parts.netloc:
        raise BadURL("URLs with a user name or password are not fetched.")
    port = _PORTS[parts.scheme] if port is None else port
    if policy.ports is not None and port not in policy.ports:
        raise BadURL(f"The port of a URL must be one of {', '.join(map(str, sorted(policy.ports)))}, not {port}.")
    return parts._replace(netloc=f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def _resolved(parts, policy, deadline) -> list[tuple]:
    """(family, address) pairs of the host for connect(). The message is the same for forbidden and unknown hosts."""
    found: list[tuple] = []
    # In a thread that is abandoned when the time is up: getaddrinfo() has no timeout and can take half a minute.
    lookup = threading.Thread(target=_look_up, args=[parts.hostname, parts.port, found], daemon=True)
    lookup.start()
    lookup.join(_left(deadline))
    addresses = list(found)
    if not addresses or not all(policy.allowed(ipaddress.ip_address(address[0])) for _, address in addresses):
        raise BadURL(f"No public internet address was found for the host {parts.hostname}.")
    return addresses


def _look_up(host, port, found):
    """Append all (family, address) pairs of the host to `found`."""
    try:
        results = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return
    found += [(family, address) for family, _, _, _, address in results]


@contextmanager
def _response(parts, addresses, policy, deadline, request) -> Iterator[http.client.HTTPResponse]:
    """The response to a request, with its body unread. The connection is cut at the deadline, even if data still
    trickles."""
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    if parts.port == _PORTS[parts.scheme]:
        connection.port = connection.default_port  # omits the port from the Host header
    with _connected(addresses, deadline) as plain, plain.dup() as handle:
        watch = threading.Timer(_left(deadline), _cut, [handle])
        watch.daemon = True
        watch.start()
        try:
            connection.sock = _secured(plain, parts)
            headers = {"User-Agent": "digits-server"} | request.headers
            connection.request(request.method, _target(parts), request.body, headers)
            with connection.getresponse() as response:
                yield response
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = time.monotonic() >= deadline
            reason = f"it took more than {policy.seconds:g} seconds" if late else _reason(error)
            what = "fetched from" if request is GET else "sent to"
            raise BadURL(f"Nothing could be {what} {parts.hostname}: {reason}.") from error
        finally:
            watch.cancel()
            connection.close()


def _target(parts):
    """The request target in ASCII; parts that are quoted already do not change."""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return quote(path, safe="/?%:@!$&'()*+,;=~-._[]")


def _connected(addresses, deadline) -> socket.socket:
    """A connection to the first address that accepts one."""
    failure = None
    for family, address in addresses:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(address)
            return connection
        except OSError as error:
            connection.close()
            failure = error
    raise BadURL(f"No connection could be made: {_reason(failure)}.") from failure


def _secured(plain, parts):
    if parts.scheme == "http":
        return plain
    return ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)


def _cut(connection):
    with suppress(OSError):  # it is closed already
        connection.shutdown(socket.SHUT_RDWR)


def _body(response, url, policy, deadline) -> bytes:
    if response.status != 200:
        raise BadURL(f"{url} returned {response.status} {response.reason[:100]}.")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BadURL(f"{url} was sent compressed, although the server asked for it uncompressed.")
    received = bytearray()
    while block := response.read(_BLOCK):
        received += block
        if len(received) + (response.length or 0) > policy.most_bytes:
            raise BadURL(f"{url} holds more than {policy.most_bytes >> 20} MiB.")
    if time.monotonic() >= deadline:
        raise TimeoutError
    if response.length:
        raise BadURL(f"{url} ended before the whole file had arrived.")
    return bytes(received)


def _left(deadline) -> float:
    """Seconds until the deadline; always above 0, because a timeout of 0 means non-blocking."""
    return max(0.001, deadline - time.monotonic())


def _reason(error) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().rstrip(".")[:200]
