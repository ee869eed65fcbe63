"""Which browsers may talk to this server: the Host and Origin rules, checked by us before every upgrade.

Tornado's own `check_origin` is not called when Host equals Origin, which is just what a page has that made its own
name point at this machine (DNS rebinding). So the Host has to be one of ours first: a name from the settings, or the
very address at which the connection arrived.

Origin: missing is admitted (not a browser, and no cookie authenticates anything here), `null` is refused, our own is
admitted, a foreign one needs the settings' leave or a valid ticket.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

from wslive.server.settings import ServerSettings

_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain"})


def host_name(host_header: str) -> str:
    """The name or address in a Host header, lower case, without port and brackets."""
    try:
        return (urlsplit(f"//{host_header}").hostname or "").lower()
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach that name or address."""
    if host in _LOCAL_NAMES or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """The allow-lists of one server."""

    def __init__(self, settings: ServerSettings) -> None:
        """Start with the names that the settings give."""
        self._origins = {o.rstrip("/").lower() for o in settings.allow_origins}
        own = socket.gethostname().lower()
        self._names = {own, f"{own}.local"}
        if not _is_address(settings.host) and settings.host:
            self._names.add(settings.host.lower())
        if settings.public_url:
            self.add_public_url(settings.public_url)

    def add_public_url(self, url: str) -> None:
        """Let pages at the address of a proxy or tunnel in."""
        parts = urlsplit(url)
        self._names.add((parts.hostname or "").lower())
        self._origins.add(f"{parts.scheme}://{parts.netloc}".lower())

    def host_error(self, host_header: str, local_address: str) -> str | None:
        """None, or a sentence that says why a Host header is refused."""
        host = host_name(host_header)
        if host in self._names or host == local_address.lower():
            return None
        if is_loopback(host) and is_loopback(local_address):
            return None
        return (
            f"This server does not answer to the name {host!r}. If it is right, start the server with "
            f"--public-url http(s)://{host or 'NAME'}"
        )

    def origin_error(self, origin: str | None, scheme: str, host_header: str, *, has_ticket: bool) -> str | None:
        """None, or a sentence that says why an Origin header is refused."""
        if origin is None:
            return None
        if origin == "null":
            return "Pages without an origin of their own (files, sandboxed frames) may not connect."
        origin = origin.rstrip("/").lower()
        if has_ticket or origin == f"{scheme}://{host_header}".lower() or origin in self._origins:
            return None
        return f"Pages from {origin} may not connect. If they should, start the server with --allow-origin {origin}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def refusal_of(gate: Gate, request: HTTPServerRequest, *, has_ticket: bool) -> str | None:
    """None, or why a handshake is refused by its Host or Origin."""
    error = gate.host_error(request.host, local_address(request))
    if error is not None:
        return error
    origin = request.headers.get("Origin")
    return gate.origin_error(origin, request.protocol, request.host, has_ticket=has_ticket)


def local_address(request: HTTPServerRequest) -> str:
    """The address of this machine at which a request arrived."""
    connection = request.connection
    stream = getattr(connection, "stream", None)
    socket_ = getattr(stream, "socket", None)
    if socket_ is None:
        return ""
    return str(socket_.getsockname()[0])
