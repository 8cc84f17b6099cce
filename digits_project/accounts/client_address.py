"""Where a request comes from."""

import ipaddress
from functools import lru_cache

from django.conf import settings


def sender(request) -> str:
    """The address of whoever sent the request. Behind the proxy that DIGITS_HTTPS promises it is what that proxy added
    to X-Forwarded-For, the last entry: the ones before it are whatever the client wrote."""
    told = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() if settings.DIGITS_HTTPS else ""
    return told if _parsed(told) else request.META.get("REMOTE_ADDR", "")


@lru_cache(1024)
def household(address: str) -> str:
    """What one client can have addresses of: of IPv6 the first 64 bits, the rest is his to choose."""
    parsed = _parsed(address)
    if parsed is None or parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None
