"""The bridge for a page that cannot reach the server: its messages travel through the kernel, unread.

The page is told everything that a WebSocket of its own would be told, so its code does not know the difference. The
relay's connection is opened with a ticket: it is the same actor, and sees what a page may see, single ballots not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from wslive.wire.close_codes import CloseCode
from wslive.wire.codec import encode
from wslive.wire.messages import SUBPROTOCOL, TICKET_PREFIX, Bye

if TYPE_CHECKING:
    from wslive.notebook.live import Live

SILENT_END_S = 600.0
"""A page that has said nothing for this long is gone: visible ones ping three times a minute."""


class _Kind(msgspec.Struct):
    type: str


class Relay:
    """One page's connection through the kernel."""

    def __init__(self, live: Live, send: Callable[[str], None]) -> None:
        """`send` brings a frame to the page."""
        self._live = live
        self._send = send
        self._socket: WebSocketClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._silence: asyncio.TimerHandle | None = None

    async def carry(self, frame: str) -> None:
        """Bring a frame from the page to the server; a hello begins a new connection."""
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.get_running_loop().call_later(SILENT_END_S, self.close)
        try:
            if msgspec.json.decode(frame, type=_Kind).type == "hello":
                await self._open()
            if self._socket is not None:
                await self._socket.write_message(frame)
        except Exception as error:  # Tornado's are of many kinds, and whichever it is, the page has to hear of it
            self._say_bye(str(error))

    def close(self) -> None:
        """End the connection."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _open(self) -> None:
        self.close()
        ticket, _ = await self._live.connection.ticket()
        url = self._live.server.replace("http", "ws", 1) + "/ws"
        request = HTTPRequest(url, connect_timeout=5.0, request_timeout=5.0)
        self._socket = await websocket_connect(request, subprotocols=[SUBPROTOCOL, TICKET_PREFIX + ticket])
        self._reading = asyncio.create_task(self._read(self._socket))

    async def _read(self, socket: WebSocketClientConnection) -> None:
        while (frame := await socket.read_message()) is not None:
            self._send(frame if isinstance(frame, str) else frame.decode())
        self._say_bye(socket.close_reason or "The connection was lost.", socket.close_code)

    def _say_bye(self, reason: str, code: int | None = None) -> None:
        # A comm has no close event: the page hears of it as it hears of a server that goes down.
        self._send(encode(Bye(code or CloseCode.GOING_AWAY, reason, 1.0)).decode())
