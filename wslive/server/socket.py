"""The WebSocket handler: bytes in and out, no rules."""

from __future__ import annotations

from typing import Any

from tornado.iostream import IOStream
from tornado.websocket import WebSocketHandler

from wslive.core.errors import InvalidToken
from wslive.server.access import Claims
from wslive.server.connection import Connection
from wslive.server.context import Context
from wslive.server.origins import refusal_of
from wslive.wire.messages import SUBPROTOCOL, TICKET_PREFIX


class SocketHandler(WebSocketHandler):
    """`/ws`."""

    def initialize(self, context: Context, audience_only: bool) -> None:
        """Take what all connections of a server share."""
        self._context = context
        self._audience_only = audience_only
        self._connection: Connection | None = None
        self._ticket: Claims | None = None

    def prepare(self) -> None:
        """Admit or refuse the handshake."""
        context = self._context
        try:
            self._ticket = self._offered_ticket()
        except InvalidToken as invalid:
            self._turn_away(403, invalid.message)
            return
        error = refusal_of(context.gate, self.request, has_ticket=self._ticket is not None)
        if error is not None:
            self._turn_away(403, error)
        elif len(context.connections) >= context.settings.max_connections:
            self.set_header("Retry-After", "10")
            self._turn_away(503, "This server has as many connections as it takes; try again in a moment.")

    def _offered_ticket(self) -> Claims | None:
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        for name in (part.strip() for part in offered.split(",")):
            if name.startswith(TICKET_PREFIX):
                return self._context.door.signer.verify(name.removeprefix(TICKET_PREFIX))
        return None

    def _turn_away(self, status: int, sentence: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(sentence)

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
            context.flusher,
            self._ticket,
            audience_only=self._audience_only,
        )
        context.connected(self._connection)
        self._connection.opened()

    @property
    def stream(self) -> IOStream:
        """The stream below the WebSocket."""
        assert self.ws_connection is not None
        stream = self.ws_connection.stream
        assert stream is not None
        return stream

    def on_message(self, message: str | bytes) -> None:
        """A frame came."""
        if self._connection is not None:
            self._connection.received(message)

    def on_close(self) -> None:
        """The socket is gone."""
        if self._connection is not None:
            self._context.disconnected(self._connection)
            self._connection.lost()
