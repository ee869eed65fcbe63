"""`/echo`: a raw WebSocket that answers what it is told. Nothing is kept and nobody is asked who they are.

It tells whether a WebSocket gets through at all: past firewalls, proxies and certificates. `wslive ping` uses it, and
so may any client in any language before it learns `wslive.v1`.
"""

from __future__ import annotations

import time
from functools import partial

from tornado.websocket import WebSocketHandler

from wslive.server.http.access_log import Discreet
from wslive.server.http.context import Context
from wslive.server.http.handshake import taken_over, turned_away
from wslive.server.websocket.rfc6455 import text_frame
from wslive.server.websocket.socket import WebSocket
from wslive.wire.close_codes import CloseCode

ANSWER = "Roger that! "
"""What every answer begins with."""

NO_UPGRADE = (
    "This is the address of a WebSocket, and the request did not ask for one. If it was sent as a WebSocket, something "
    "between here and there took its Upgrade header away: most often a proxy that has to be told to pass it on."
)


class Echo:
    """One connection that answers."""

    is_waiting_for_hello = False
    """It waits for nothing: it may stay silent as long as it answers pings."""

    def __init__(self, websocket: WebSocket) -> None:
        """Answer on a WebSocket."""
        self.opened_at_s = time.monotonic()
        self._websocket = websocket
        self._outbox = websocket.outbox(on_drained=websocket.resume, on_full=self.abort)

    def received(self, message: str | bytes) -> None:
        """Answer; where the answers are not taken, no more is read, so nothing piles up here."""
        self._outbox.post(self.answer(message))
        if not self._outbox.is_clear:
            self._websocket.pause()

    def answer(self, message: str | bytes) -> bytes:
        """The frame with which a message is answered."""
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        return text_frame((ANSWER + text).encode())

    def close(self, code: CloseCode) -> None:
        """Close it with a code of ours."""
        self._websocket.close(code, code.sentence)

    def say_bye(self, spread_s: float) -> None:
        """The server goes down."""
        self.close(CloseCode.GOING_AWAY)

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._websocket.abort()


class EchoHandler(Discreet, WebSocketHandler):
    """`/echo`."""

    connection: type[Echo] = Echo
    """What answers."""
    too_big: int = CloseCode.FRAME_TOO_BIG
    """What a frame beyond the limit is closed with."""

    def initialize(self, context: Context) -> None:
        """Take what all connections of a server share."""
        self._context = context

    @property
    def ping_interval(self) -> float | None:
        """None: Tornado pings nobody here (see `websocket.keepalive`)."""
        return None

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

    async def open(self, *args: str, **kwargs: str) -> None:
        """The handshake is done."""
        websocket = await taken_over(self, self._context, too_big=self.too_big)
        if websocket is None:
            return
        echo = self.connection(websocket)
        self._context.connected(echo)
        websocket.begin(self._context.keepalive, echo.received, partial(self._context.disconnected, echo))
        await websocket.ended()
