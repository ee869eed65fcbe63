"""Which browsers may talk to this server: the Host and Origin rules, checked by us before every upgrade.

Tornado's own `check_origin` is not called when Host equals Origin, which is just what a page has that made its own
name point at this machine (DNS rebinding). So the Host has to be one of ours first: a name from the settings, or the
very address at which the connection arrived.

Origin: missing is admitted (not a browser, and no cookie authenticates anything here), `null` and what is no address
are refused, our own is admitted, a foreign one needs the settings' leave or a valid ticket.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream

from wslive.server.access.addresses import address_of
from wslive.server.access.neighbours import Neighbourhood
from wslive.server.settings import ServerSettings

_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


def host_name(host_header: str) -> str:
    """The name or address in a Host header, lower case, without port and brackets; "" where it has none."""
    try:
        name = urlsplit(f"//{host_header}").hostname or ""
    except ValueError:
        return ""
    return name.removesuffix(".")


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach that name or address."""
    if host in _LOCAL_NAMES or host.endswith(".localhost"):
        return True
    address = address_of(host)
    return address is not None and address.is_loopback


def origin_of(url: str) -> str:
    """The origin of a URL as browsers send it: lower case, no default port, no path. "" where it has none."""
    try:
        parts = urlsplit(url.strip().lower())
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not parts.scheme or not host:
        return ""
    name = f"[{host}]" if ":" in host else host
    is_default = port is None or port == _DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{name}" if is_default else f"{parts.scheme}://{name}:{port}"


def is_readable(origin: str) -> bool:
    """Whether an Origin header can be taken apart; Tornado and Jupyter fail on one that cannot."""
    try:
        urlsplit(origin)
    except ValueError:
        return False
    return True


class Gate:
    """The allow-lists of one server."""

    def __init__(self, settings: ServerSettings) -> None:
        """Start with the names that the settings give."""
        self._any_host = settings.any_host
        own = socket.gethostname().lower()
        self._names = {own, f"{own}.local"}
        self._origins = {origin_of(origin) for origin in settings.allow_origins} - {""}
        if settings.host and address_of(settings.host) is None:
            self._names.add(settings.host.lower())
        self._operators = [settings.public_url] if settings.public_url else []
        self._public_names: set[str] = set()
        self._public_origins: set[str] = set()
        self.show_at([])

    def show_at(self, urls: list[str]) -> None:
        """Let in who comes by these addresses of proxies and tunnels, beside the settings' own; forget earlier ones."""
        public = [origin_of(url) for url in [*self._operators, *urls]]
        self._public_origins = set(public) - {""}
        self._public_names = {host_name(urlsplit(origin).netloc) for origin in self._public_origins}

    def host_error(self, host_header: str, local_address: str) -> str | None:
        """None, or a sentence that says why a Host header is refused."""
        host = host_name(host_header)
        known = self._names | self._public_names
        if host and (self._any_host or host in known or _same_address(host, local_address)):
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
        if not is_readable(origin):
            return "The Origin header is no origin of a page. If a proxy changes it, let it pass as it is."
        if self._any_host:
            # The proxy in front of such a server speaks https to browsers and http to us.
            scheme = urlsplit(origin).scheme
        allowed = {origin_of(f"{scheme}://{host_header}"), *self._origins, *self._public_origins}
        if has_ticket or origin_of(origin) in allowed - {""}:
            return None
        return f"Pages from {origin} may not connect. If they should, start the server with --allow-origin {origin}"

    def is_from_elsewhere(self, request: HTTPServerRequest, network: Neighbourhood) -> bool:
        """Whether a request came from another device than this computer; `network` is what is known of where from.

        What comes by loopback is a program of this computer's own, or a proxy or tunnel on it that others have come
        by: then their address is known, or they name the one at which others come.
        """
        peer = address_of(request.remote_ip or "")
        if peer is not None and not peer.is_loopback:
            return peer != address_of(local_address(request))
        is_public = origin_of(request.headers.get("Origin", "")) in self._public_origins
        return network is not None or is_public or not is_loopback(host_name(request.host))


def refusal_of(gate: Gate, request: HTTPServerRequest, *, has_ticket: bool) -> str | None:
    """None, or why a request is refused by its Host or Origin."""
    error = gate.host_error(request.host, local_address(request))
    if error is not None:
        return error
    origin = request.headers.get("Origin")
    return gate.origin_error(origin, request.protocol, request.host, has_ticket=has_ticket)


def local_address(request: HTTPServerRequest) -> str:
    """The address of this machine at which a request arrived."""
    stream = stream_of(request)
    try:
        return "" if stream is None or stream.socket is None else str(stream.socket.getsockname()[0])
    except OSError:  # gone already
        return ""


def stream_of(request: HTTPServerRequest) -> IOStream | None:
    """The stream that a request came through."""
    stream = getattr(request.connection, "stream", None)
    return stream if isinstance(stream, IOStream) else None


def _same_address(host: str, local_address: str) -> bool:
    address = address_of(host)
    return address is not None and address == address_of(local_address)
