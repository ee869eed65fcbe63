"""`/echo`: a raw WebSocket that answers what it is told. Nothing is kept and nobody is asked who they are.

It tells whether a WebSocket gets through at all: past firewalls, proxies and certificates. `wslive ping` uses it, and
so may any client in any language before it learns `wslive.v1`.
"""

from __future__ import annotations

import time

from tornado.websocket import WebSocketClosedError, WebSocketHandler

from wslive.server.context import Context
from wslive.server.handshake import turned_away
from wslive.wire.close_codes import CloseCode

ANSWER = "Roger that! "
"""What every answer begins with."""

NO_UPGRADE = (
    "This is the address of a WebSocket, and the request did not ask for one. If it was sent as a WebSocket, something "
    "between here and there took its Upgrade header away: most often a proxy that has to be told to pass it on."
)


class EchoHandler(WebSocketHandler):
    """`/echo`."""

    def initialize(self, context: Context) -> None:
        """Take what all connections of a server share."""
        self._context = context
        self.opened_at_s = time.monotonic()
        self.is_waiting_for_hello = False
        """It waits for nothing: it may stay silent as long as it answers pings."""

    def prepare(self) -> None:
        """Admit or refuse the handshake."""
        if turned_away(self, self._context):
            return
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            self.set_status(426)
            self.set_header("Upgrade", "websocket")
            self.finish(NO_UPGRADE)

    def check_origin(self, origin: str) -> bool:
        """`prepare` has looked at it already."""
        return True

    def open(self, *args: str, **kwargs: str) -> None:
        """The handshake is done."""
        self.set_nodelay(True)
        self._context.connected(self)

    async def on_message(self, message: str | bytes) -> None:
        """Answer; the next message is read when this answer is on its way, so nothing piles up here."""
        if len(message) > self._context.settings.max_frame_bytes:
            self.close(CloseCode.FRAME_TOO_BIG, CloseCode.FRAME_TOO_BIG.sentence)
            return
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        try:
            await self.write_message(ANSWER + text)
        except WebSocketClosedError:
            pass  # gone meanwhile

    def on_close(self) -> None:
        """The socket is gone."""
        self._context.disconnected(self)

    def say_bye(self, spread_s: float) -> None:
        """The server goes down."""
        self.close(CloseCode.GOING_AWAY, CloseCode.GOING_AWAY.sentence)

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self.ws_connection is not None and self.ws_connection.stream is not None:
            self.ws_connection.stream.close()
