"""The client's address of a request."""

import ipaddress
from functools import lru_cache

from django.conf import settings


def sender(request) -> str:
    """The client's address. With DIGITS_HTTPS a proxy is in front: then it is the last entry of X-Forwarded-For, which
    the proxy added. The client can write any other entry."""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() if settings.DIGITS_HTTPS else ""
    return forwarded if _parsed(forwarded) else request.META.get("REMOTE_ADDR", "")


@lru_cache(1024)
def client_network(address: str) -> str:
    """The network within which one client can choose its address: of an IPv6 address the first 64 bits."""
    parsed = _parsed(address)
    if parsed is None or parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None
