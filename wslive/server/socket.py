"""The WebSocket handler: bytes in and out, no rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tornado.websocket import WebSocketHandler

from wslive.core.errors import InvalidToken
from wslive.server.access import Claims
from wslive.server.connection import Connection
from wslive.server.context import Context
from wslive.server.handshake import turn_away, turned_away
from wslive.server.outbox import Outbox
from wslive.wire.messages import SUBPROTOCOL, TICKET_PREFIX


class SocketHandler(WebSocketHandler):
    """`/ws`."""

    def initialize(self, context: Context, audience_only: bool) -> None:
        """Take what all connections of a server share."""
        self._context = context
        self._audience_only = audience_only
        self._connection: Connection | None = None
        self._ticket: Claims | None = None

    def prepare(self) -> Awaitable[None] | None:
        """Admit or refuse the handshake."""
        try:
            self._ticket = self._offered_ticket()
        except InvalidToken as invalid:
            turn_away(self, 403, invalid.message)
            return None
        turned_away(self, self._context, has_ticket=self._ticket is not None)
        return None

    def _offered_ticket(self) -> Claims | None:
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        for name in (part.strip() for part in offered.split(",")):
            if name.startswith(TICKET_PREFIX):
                return self._context.door.signer.verify(name.removeprefix(TICKET_PREFIX))
        return None

    def check_origin(self, origin: str) -> bool:
        """`prepare` has looked at it already, and at what Tornado does not look at."""
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Ours, where it is offered."""
        return SUBPROTOCOL if SUBPROTOCOL in subprotocols else None

    def open(self, *args: Any, **kwargs: Any) -> None:
        """The handshake is done."""
        self.set_nodelay(True)
        context = self._context
        self._connection = Connection(
            context.door,
            self,
            context.settings,
            self._ticket,
            audience_only=self._audience_only,
            network=context.neighbours.of(self.request),
        )
        context.connected(self._connection)
        self._connection.opened()

    def outbox(self, *, on_drained: Callable[[], None], on_full: Callable[[], None]) -> Outbox:
        """The way out: the stream below the WebSocket."""
        assert self.ws_connection is not None
        stream = self.ws_connection.stream
        assert stream is not None
        return Outbox(
            stream,
            self._context.flusher,
            max_bytes=self._context.settings.max_outbox_bytes,
            on_drained=on_drained,
            on_full=on_full,
        )

    def on_message(self, message: str | bytes) -> None:
        """A frame came."""
        if self._connection is not None:
            self._connection.received(message)

    def on_close(self) -> None:
        """The socket is gone."""
        if self._connection is not None:
            self._context.disconnected(self._connection)
            self._connection.lost()
