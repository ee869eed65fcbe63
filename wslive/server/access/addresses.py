"""Addresses of the internet as sockets and headers write them."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")


def address_of(text: str) -> Address | None:
    """The address that a text names, without its zone; None where it is none.

    On a socket for both families an address of IPv4 is written as one of IPv6; it is told as one of IPv4.
    """
    text = text.partition("%")[0]
    # What is longer would be kept as well, and a header may have any length.
    return _parsed(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=1024)  # a handshake asks for the same few five times
def _parsed(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
