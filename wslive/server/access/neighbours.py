"""From which network somebody comes, told apart without keeping an address.

A hall is one network: hundreds of people behind one address. So a network is no person, nothing is refused because of
one alone, and only two things are known of it, both in memory: that new people of a room came from several, and that
wrong join codes came from one. Its name is a salted hash of the first 24 bits (IPv4) or 64 bits (IPv6) of the address;
the salt is made anew at each start, and neither address nor name is logged, stored or sent.

Forwarded addresses (X-Forwarded-For) are read from the proxies that the settings name, and from nobody else.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Iterable

from tornado.httputil import HTTPServerRequest

from wslive.server.access.addresses import Address, address_of

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

Neighbourhood = bytes | None
"""The name of a network. None: this computer, or a proxy on it that the settings do not name; so nothing is known."""

_PREFIX_BITS = {4: 24, 6: 64}


class Neighbours:
    """Names the networks that requests come from."""

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        """Take the addresses or networks of the proxies whose word counts.

        Raises:
            ValueError: One of them is neither.
        """
        self._proxies = [ipaddress.ip_network(proxy, strict=False) for proxy in trusted_proxies]
        self._salt = secrets.token_bytes(16)

    def of(self, request: HTTPServerRequest) -> Neighbourhood:
        """The network that a request came from."""
        return self.named(request.remote_ip or "", request.headers.get("X-Forwarded-For", ""))

    def named(self, peer: str, forwarded_for: str = "") -> Neighbourhood:
        """The name of a peer's network, or of the one that proxies of ours say is behind the peer."""
        address = address_of(peer.strip())
        # From the right: what stands further left was written by whoever the last trusted one spoke to.
        for hop in reversed(forwarded_for.split(",")):
            if address is None or not self._is_proxy(address):
                break
            behind = address_of(_without_port(hop).strip())
            if behind is None:
                break  # who has written what stands further left is not known
            address = behind
        if address is None or address.is_loopback or address.is_unspecified:
            return None
        network = ipaddress.ip_network((address, _PREFIX_BITS[address.version]), strict=False)
        return hashlib.blake2b(network.network_address.packed, digest_size=8, key=self._salt).digest()

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)


def _without_port(hop: str) -> str:
    """Some proxies write "203.0.113.7:4711" or "[2001:db8::1]:4711"."""
    hop = hop.strip()
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
