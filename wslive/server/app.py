"""A whole server: its parts wired together, started and stopped."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from socket import socket as Socket
from typing import TYPE_CHECKING, Any, Protocol

from tornado.httpserver import HTTPServer
from tornado.web import Application

from wslive.eventlog.base import EventLog
from wslive.server.access.identity import Identity, Vouching
from wslive.server.access.network import EVERYWHERE, Network, base_url, take_port
from wslive.server.access.origins import Gate
from wslive.server.access.tokens import Signer, signer
from wslive.server.admission import Door
from wslive.server.http import api, health, pages
from wslive.server.http.access_log import log_request
from wslive.server.http.context import Context
from wslive.server.http.echo import EchoHandler
from wslive.server.http.ready import Readiness
from wslive.server.http.socket import SocketHandler
from wslive.server.rooms.node import Node
from wslive.server.settings import ServerSettings

if TYPE_CHECKING:
    from wslive.server.http.metrics import Metrics

logger = logging.getLogger("wslive.server")

_MAX_BODY_BYTES = 64 * 1024
_BODY_TIMEOUT_S = 10.0
_FAREWELL_S = 2.0


MakeIdentity = Callable[[Signer], Identity]
"""Makes a provider of identities, given what keeps its keys."""


class Extension(Protocol):
    """Something that is served beside wslive's own pages and WebSocket, to the audience too."""

    def mount(self, context: Context) -> None:
        """Take the parts of the server that it belongs to."""
        ...

    def routes(self) -> list[Any]:
        """Its routes, as Tornado takes them."""
        ...

    async def close(self) -> None:
        """End what it runs by itself; its connections are gone."""
        ...


class Server:
    """One server on one port.

    Attributes:
        hosting_token: What creating a room needs.
        idle: Set when nobody has been connected for `settings.idle_end_s`.
    """

    def __init__(
        self,
        settings: ServerSettings,
        log: EventLog,
        extensions: Sequence[Extension] = (),
        identity: MakeIdentity | None = None,
    ) -> None:
        """Wire the parts; `start` opens the port. The log is closed by `stop`.

        Args:
            settings: See there.
            log: Where rooms are kept.
            extensions: What is served beside.
            identity: Makes the provider of identities, where somebody vouches for people.

        Raises:
            StoreUnwritable: The key that signs tokens can be neither read nor made.
        """
        self.settings = settings
        self.hosting_token = settings.hosting_token or "ht_" + secrets.token_urlsafe(24)
        self.idle = asyncio.Event()
        gate = Gate(settings)
        self._log = log
        self._node = Node(log, settings)
        keys = signer(settings)
        self._vouching = None
        if identity is not None:
            self._vouching = Vouching(identity(keys), settings.vouch_interval_s, settings.ticket_life_s)
        door = Door(self._node, keys, self._vouching)
        self._readiness = Readiness(log)
        self._network = Network(settings, gate, self._audience_server)
        self._context = Context(settings, self._node, door, gate, self._network, self.hosting_token)
        self._metrics: Metrics | None = None
        if settings.metrics:
            from wslive.server.http.metrics import Metrics

            self._node.meter = self._metrics = Metrics(self._context)
        self._extensions = extensions
        for extension in extensions:
            extension.mount(self._context)
        self._http: HTTPServer | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self.port = settings.port

    @property
    def context(self) -> Context:
        """What the handlers share, for a program that serves them itself."""
        return self._context

    @property
    def url(self) -> str:
        """The base URL on this computer."""
        host = self.settings.host
        return base_url("127.0.0.1" if host in EVERYWHERE else host, self.port) + self.settings.base_path

    @property
    def audience_urls(self) -> list[str]:
        """Base URLs that others can reach."""
        return self._network.urls

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._context.connections)

    async def start(self, sockets: Sequence[Socket] | None = None) -> None:
        """Open the port.

        Args:
            sockets: What `network.take_port` returned, where the port was taken before the server was made.

        Raises:
            PortInUse: Another program has it.
        """
        sockets = sockets or take_port(self.settings.host, self.settings.port)
        self.port = self._network.port = sockets[0].getsockname()[1]
        self._http = self._serve(audience_only=False)
        self._http.add_sockets(list(sockets))
        self.begin()

    def begin(self) -> None:
        """Start the upkeep alone: for a server that has no port of its own, whose handlers another program serves."""
        self._context.busy_at_s = time.monotonic()
        self._upkeep = asyncio.create_task(self._sweep(), name="upkeep")

    async def stop(self) -> None:
        """Tell people, store what is queued, and close port and log."""
        self._readiness.is_stopping = True
        if self._http is not None:
            self._http.stop()
        self._network.close()
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.wait({self._upkeep})
        if self._vouching is not None:
            await self._vouching.close()
        # First the rooms: what is queued is stored and acknowledged, then people are told to come back.
        await self._node.close()
        for connection in list(self._context.connections):
            connection.say_bye(self.settings.drain_s)
        await self._all_gone()
        for connection in list(self._context.connections):
            connection.abort()
        await self._all_gone()
        if self._http is not None:
            await self._http.close_all_connections()
        await self._network.close_all_connections()
        for extension in self._extensions:
            await extension.close()
        await self._log.close()

    async def _all_gone(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self._context.all_gone.wait()

    async def _sweep(self) -> None:
        try:
            await self._node.tend_boxes()
        except OSError as error:
            logger.error("keys of secret polls may be left until the next start: %s", error)
        while True:
            due_s = time.monotonic() + self.settings.sweep_interval_s
            await asyncio.sleep(self.settings.sweep_interval_s)
            self._node.meter.lagged(time.monotonic() - due_s)
            try:
                await self._context.sweep()
            except Exception:
                logger.exception("the upkeep failed; trying again")
            idle_end_s = self.settings.idle_end_s
            if idle_end_s is not None and time.monotonic() - self._context.busy_at_s > idle_end_s:
                self.idle.set()

    def _watching(self, *, audience_only: bool) -> list[Any]:
        """What an operator's programs ask."""
        ready = (r"/ready", health.ReadyHandler, {"context": self._context, "readiness": self._readiness})
        if self._metrics is None or audience_only:
            return [ready]
        return [ready, (r"/metrics", health.MetricsHandler, {"context": self._context, "metrics": self._metrics})]

    def _audience_server(self) -> HTTPServer:
        return self._serve(audience_only=True)

    def _serve(self, *, audience_only: bool) -> HTTPServer:
        vouching = self._vouching
        application = Application(
            [
                *_below(self.settings.base_path, _routes(self._context, audience_only=audience_only)),
                *_below(self.settings.base_path, self._watching(audience_only=audience_only)),
                *(route for extension in self._extensions for route in extension.routes()),
                *_below(self.settings.base_path, [] if vouching is None else vouching.identity.routes()),
            ],
            **({} if vouching is None else vouching.identity.application_settings()),
            log_function=log_request,
            default_handler_class=pages.NotFoundHandler,
            default_handler_args={"context": self._context},
        )
        return HTTPServer(
            application,
            max_body_size=_MAX_BODY_BYTES,
            max_header_size=16 * 1024,
            body_timeout=_BODY_TIMEOUT_S,
            idle_connection_timeout=self.settings.idle_http_s,
        )


def _routes(context: Context, *, audience_only: bool) -> list[Any]:
    own = {"context": context}
    code = r"([A-Za-z0-9-]{1,20})"
    audience = [
        (r"/", pages.PageHandler, {**own, "page": "index.html"}),
        (rf"/r/{code}", pages.PageHandler, {**own, "page": "index.html"}),
        (rf"/r/{code}/screen", pages.PageHandler, {**own, "page": "screen.html"}),
        (rf"/r/{code}/about", pages.AboutHandler, own),
        (rf"/r/{code}/ticket", pages.TicketHandler, own),
        (rf"/r/{code}/link", pages.LinkHandler, own),
        (rf"/r/{code}/qr\.svg", pages.QrHandler, own),
        (r"/static/([A-Za-z0-9_./-]+)", pages.FileHandler, own),
        (r"/ws", SocketHandler, {**own, "audience_only": audience_only}),
        (r"/echo", EchoHandler, own),
        (r"/health", health.HealthHandler, own),
    ]
    if audience_only:
        return audience
    return [
        *audience,
        (r"/api/server", api.ServerHandler, own),
        (r"/api/rooms", api.RoomsHandler, own),
        (r"/api/audience", api.AudienceHandler, own),
        (rf"/api/rooms/{code}", api.RoomHandler, own),
        (rf"/api/rooms/{code}/events", api.EventsHandler, own),
        (rf"/api/rooms/{code}/invitations", api.InvitationsHandler, own),
        (rf"/api/rooms/{code}/people/([A-Za-z0-9_-]{{1,80}})", api.PersonHandler, own),
    ]


def _below(base_path: str, routes: list[Any]) -> list[Any]:
    """The routes below a path."""
    return [(re.escape(base_path) + path, *rest) for path, *rest in routes]
