"""The handler of the WebSocket: who may open one.

What happens on it afterwards is for `websocket.socket` and `connection`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any

from tornado.websocket import WebSocketHandler

from wslive.core.errors import InvalidToken, Refused
from wslive.server.access.identity import Person, Vouching, shown
from wslive.server.access.tokens import Claims
from wslive.server.connection import Connection
from wslive.server.http.access_log import Discreet
from wslive.server.http.context import Context
from wslive.server.http.handshake import STATUS, taken_over, turn_away, turned_away
from wslive.wire.close_codes import CloseCode
from wslive.wire.messages import SUBPROTOCOL, TICKET_PREFIX


class SocketHandler(Discreet, WebSocketHandler):
    """`/ws`."""

    def initialize(self, context: Context, audience_only: bool) -> None:
        """Take what all connections of a server share."""
        self._context = context
        self._audience_only = audience_only
        self._ticket: Claims | None = None
        self._person: Person | None = None

    def prepare(self) -> Awaitable[None] | None:
        """Admit or refuse the handshake."""
        try:
            self._ticket = self._offered_ticket()
        except InvalidToken as invalid:
            turn_away(self, 403, invalid.message)
            return None
        if not turned_away(self, self._context, has_ticket=self._ticket is not None):
            vouching = self._context.door.vouching
            if vouching is not None and self._ticket is None:
                return self._recognise(vouching)
        return None

    async def _recognise(self, vouching: Vouching) -> None:
        """Find out who comes by the token of a program; what a browser sends by itself counts nothing here."""
        try:
            self._person = await vouching.identity.of_proof(shown(self.request.headers.get("Authorization", "")))
        except Refused as refused:
            turn_away(self, STATUS.get(type(refused), 403), refused.message)

    def _offered_ticket(self) -> Claims | None:
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        for name in (part.strip() for part in offered.split(",")):
            if name.startswith(TICKET_PREFIX):
                return self._context.door.signer.verify(name.removeprefix(TICKET_PREFIX))
        return None

    @property
    def ping_interval(self) -> float | None:
        """None: Tornado, or Jupyter, pings nobody here (see `websocket.keepalive`)."""
        return None

    def check_origin(self, origin: str) -> bool:
        """`prepare` has looked at it already, and at what Tornado does not look at."""
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Ours, where it is offered."""
        return SUBPROTOCOL if SUBPROTOCOL in subprotocols else None

    async def open(self, *args: Any, **kwargs: Any) -> None:
        """The handshake is done: the socket leaves Tornado, and this handler is not needed any more."""
        context = self._context
        websocket = await taken_over(self, context, too_big=CloseCode.FRAME_TOO_BIG)
        if websocket is None:
            return
        network = context.neighbours.of(self.request)
        vouching, vouch = context.door.vouching, ""
        if self._ticket is not None:
            vouch = self._ticket.vouch
        elif vouching is not None and self._person is not None:
            vouch = vouching.note(self._person)
        connection = Connection(
            context.door,
            websocket,
            context.settings,
            self._ticket,
            audience_only=self._audience_only,
            network=network,
            from_elsewhere=context.gate.is_from_elsewhere(self.request, network),
            person=self._person,
            vouch=vouch,
        )
        context.connected(connection)
        if vouching is not None:
            vouching.opened(connection)
        connection.opened()
        websocket.begin(context.keepalive, connection.received, partial(_lost, context, connection))
        await websocket.ended()


def _lost(context: Context, connection: Connection) -> None:
    context.disconnected(connection)
    if context.door.vouching is not None:
        context.door.vouching.lost(connection)
    connection.lost()
