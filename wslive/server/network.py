"""The addresses at which others reach this server, and the listener that lets them in.

A server bound to loopback is for this computer alone. Letting an audience in opens a second listener on the addresses
of this machine's networks, with the audience's pages and WebSocket and nothing else on it; closing it again leaves
the first listener as it was.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import psutil
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from wslive.core.errors import BadCommand, NotAllowed
from wslive.server.origins import Gate, is_loopback
from wslive.server.settings import ServerSettings

logger = logging.getLogger("wslive.network")


def addresses() -> list[str]:
    """This machine's own IPv4 addresses that others may reach, the one of the default route first."""
    found = [
        entry.address
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family == socket.AF_INET and _is_reachable(entry.address)
    ]
    default = _default_route_address()
    return sorted(dict.fromkeys(found), key=lambda a: (a != default, _is_virtual(a), a))


class Network:
    """Which base URLs others can use."""

    def __init__(self, settings: ServerSettings, gate: Gate, make_server: Callable[[], HTTPServer]) -> None:
        """`make_server` makes an HTTP server with the audience's handlers alone."""
        self._settings = settings
        self._gate = gate
        self._make_server = make_server
        self._listener: HTTPServer | None = None
        self._opened: list[str] = []
        self._public: list[str] = [settings.public_url.rstrip("/")] if settings.public_url else []
        self.port = settings.port

    @property
    def urls(self) -> list[str]:
        """Base URLs that others can reach, the best one first; empty while only this computer can."""
        if self._public or is_loopback(self._settings.host):
            return [*self._public, *self._opened]
        if self._settings.host in ("", "0.0.0.0", "::"):
            return [f"http://{a}:{self.port}" for a in addresses()]
        return [f"http://{self._settings.host}:{self.port}"]

    def let_in(self, audience: str) -> list[str]:
        """Let an audience in and return the base URLs.

        Args:
            audience: "network", "this_computer" (close the network listener again) or the public address of a proxy
                or tunnel, beginning with http:// or https://.

        Raises:
            BadCommand: None of these, or there is no network.
            NotAllowed: The operator's settings forbid it.
        """
        if audience == "this_computer":
            self.close()
            return self.urls
        if not self._settings.may_open_network:
            raise NotAllowed("This server's operator decides who can reach it; ask for its public address.")
        if audience == "network":
            if not self.urls:
                self._open()
            return self.urls
        parts = urlsplit(audience)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadCommand(
                f"audience={audience!r} is none of 'this_computer', 'network' or an address like "
                "'https://live.example.org'."
            )
        if is_loopback(parts.hostname):
            raise BadCommand("A loopback address leads everybody to their own device; use 'network' instead.")
        self._gate.add_public_url(audience)
        url = audience.rstrip("/")
        self._public = [url, *(u for u in self._public if u != url)]
        return self.urls

    def close(self) -> None:
        """Let nobody else in; connections that are open stay."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
        self._opened = []

    def _open(self) -> None:
        candidates = addresses()
        if not candidates:
            raise BadCommand("This computer is in no network just now, so no other device can reach it.")
        listener = self._make_server()
        for address in candidates:
            # The same port as the main listener where it is free, so that links stay the same from day to day.
            for port in (self.port, 0):
                try:
                    sockets = bind_sockets(port, address, family=socket.AF_INET)
                except OSError as error:
                    logger.info("cannot listen on %s:%s: %s", address, port, error)
                    continue
                listener.add_sockets(sockets)
                self._opened.append(f"http://{address}:{sockets[0].getsockname()[1]}")
                break
        if not self._opened:
            raise BadCommand("No address of this computer could be opened to others; see the server's log.")
        self._listener = listener
        logger.info("the audience can reach this server at %s", ", ".join(self._opened))


def _is_reachable(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)


def _is_virtual(address: str) -> bool:
    # Docker's and libvirt's default networks: reachable from containers, not from phones.
    return ipaddress.ip_address(address) in ipaddress.ip_network("172.17.0.0/16") or address.startswith("192.168.122.")


def _default_route_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing; the kernel only chooses the way.
            probe.connect(("203.0.113.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])
