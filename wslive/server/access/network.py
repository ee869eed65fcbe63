"""The addresses at which others reach this server, and the listener that lets them in.

A server bound to loopback is for this computer alone. Letting an audience in opens a second listener on the addresses
of this machine's networks, with the audience's pages and WebSocket and nothing else on it; closing it again leaves
the first listener as it was.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from tornado.httpserver import HTTPServer

from wslive.core.errors import BadCommand, NotAllowed, PortInUse
from wslive.server.access.origins import Gate, is_loopback
from wslive.server.settings import ServerSettings

logger = logging.getLogger("wslive.network")

_PASSIVE = socket.AI_PASSIVE | socket.AI_NUMERICSERV
_BACKLOG = 1024
"""After a restart a whole hall comes back within a second or two."""


EVERYWHERE = frozenset({"", "0.0.0.0", "::"})
"""What stands for all addresses of this machine."""


def base_url(host: str, port: int) -> str:
    """The base URL of an address; one of IPv6 stands in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets at every address of `host`, all on one port; "" and "::" mean IPv4 and IPv6 everywhere.

    Tornado's `bind_sockets` leaves the socket open that it could not bind.

    Raises:
        OSError: The port is taken, or the host is not this machine.
    """
    asked = None if host in ("", "::") else host
    places = socket.getaddrinfo(asked, port, type=socket.SOCK_STREAM, flags=_PASSIVE)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, address in dict.fromkeys((place[0], str(place[4][0])) for place in places):
        try:
            found = socket.create_server((address, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                missing = error  # "localhost" has an address of IPv6 also where there is no IPv6
                continue
            for opened in sockets:
                opened.close()
            raise
        found.setblocking(False)
        port = found.getsockname()[1]
        sockets.append(found)
    if not sockets and missing is not None:
        raise missing
    return sockets


def take_port(host: str, port: int) -> list[socket.socket]:
    """`listen`, with an error for whoever starts a server.

    Raises:
        PortInUse: Another program has the port, or the host is not this machine.
    """
    try:
        return listen(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"Port {port} is taken by another program. Choose another one with --port, or --port 0 to take any "
                "free one."
            ) from None
        raise PortInUse(f"Cannot listen on {host}:{port}: {error.strerror}.") from None


def addresses() -> list[str]:
    """This machine's own IPv4 addresses that others may reach, the one of the default route first."""
    import psutil  # most servers are asked for one address, and are to be there at once

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
        self._closed: list[HTTPServer] = []
        self._opened: list[str] = []
        own = settings.public_url
        self._operators = [own.rstrip("/")] if own and not is_loopback(urlsplit(own).hostname or "") else []
        self._hosts: list[str] = []
        """The address of a tunnel or proxy that a host asked for."""
        self.port = settings.port

    @property
    def urls(self) -> list[str]:
        """Base URLs that others can reach, the best one first; empty while only this computer can."""
        host = self._settings.host
        public = [*self._hosts, *self._operators]
        if public or is_loopback(host):
            return [*public, *self._opened]
        return [base_url(address, self.port) for address in (addresses() if host in EVERYWHERE else [host])]

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
            self._show_at([])
            self.close()
            return self.urls
        if not self._settings.may_open_network:
            raise NotAllowed("This server's operator decides who can reach it; ask for its public address.")
        if audience == "network":
            if is_loopback(self._settings.host) and not self._operators and not self._opened:
                self._open()
            self._show_at([])
            return self.urls
        scheme, host = _scheme_and_host(audience)
        if scheme not in ("http", "https") or not host:
            raise BadCommand(
                f"audience={audience[:100]!r} is none of 'this_computer', 'network' or an address like "
                "'https://live.example.org'."
            )
        if is_loopback(host):
            raise BadCommand("A loopback address leads everybody to their own device; use 'network' instead.")
        self._show_at([audience.rstrip("/")])
        return self.urls

    def close(self) -> None:
        """Open no connection from other devices any more; those that are open stay."""
        if self._listener is not None:
            self._listener.stop()
            self._closed.append(self._listener)
            self._listener = None
        self._opened = []

    def _show_at(self, urls: list[str]) -> None:
        self._hosts = urls
        self._gate.show_at(urls)

    async def close_all_connections(self) -> None:
        """Cut the plain HTTP connections that came through this listener or an earlier one."""
        for listener in self._closed:
            await listener.close_all_connections()
        self._closed.clear()

    def _open(self) -> None:
        candidates = addresses()
        if not candidates:
            raise BadCommand("This computer is in no network just now, so no other device can reach it.")
        listener = self._make_server()
        for address in candidates:
            # The same port as the main listener where it is free, so that links stay the same from day to day.
            for port in (self.port, 0):
                try:
                    sockets = listen(address, port)
                except OSError as error:
                    logger.info("cannot listen on %s:%s: %s", address, port, error)
                    continue
                listener.add_sockets(sockets)
                self._opened.append(base_url(address, sockets[0].getsockname()[1]))
                break
        if not self._opened:
            raise BadCommand("No address of this computer could be opened to others; see the server's log.")
        self._listener = listener
        logger.info("the audience can reach this server at %s", ", ".join(self._opened))


def _scheme_and_host(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or ""
    except ValueError:
        return "", ""


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
