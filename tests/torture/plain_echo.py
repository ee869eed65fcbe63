"""A server whose WebSocket says back exactly what it hears, on wslive's receive path: `python plain_echo.py`.

`/echo` answers bytes with text and puts words before them, and takes 16 KiB; Autobahn asks for what it sent, up to
16 MiB.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial

from tornado.httpserver import HTTPServer
from tornado.web import Application

from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.echo import EchoHandler
from wslive.server.handshake import taken_over
from wslive.server.network import take_port
from wslive.server.rfc6455 import TOO_BIG, text_frame
from wslive.server.settings import Rate, ServerSettings
from wslive.server.websocket import WebSocket
from wslive.wire.close_codes import CloseCode

MOST_BYTES = 32 * 1024 * 1024


class PlainEcho:
    """One connection."""

    is_waiting_for_hello = False

    def __init__(self, websocket: WebSocket) -> None:
        self.opened_at_s = time.monotonic()
        self._websocket = websocket
        self._outbox = websocket.outbox(on_drained=websocket.resume, on_full=websocket.abort)

    def received(self, message: str | bytes) -> None:
        is_text = isinstance(message, str)
        self._outbox.post(text_frame(message.encode()) if is_text else b"\x82" + text_frame(message)[1:])
        if not self._outbox.is_clear:
            self._websocket.pause()

    def close(self, code: CloseCode) -> None:
        self._websocket.close(code, code.sentence)

    def say_bye(self, spread_s: float) -> None:
        self.close(CloseCode.GOING_AWAY)

    def abort(self) -> None:
        self._websocket.abort()


class PlainEchoHandler(EchoHandler):
    """Its handler."""

    async def open(self, *args: str, **kwargs: str) -> None:
        websocket = await taken_over(self, self._context, too_big=TOO_BIG)
        if websocket is None:
            return
        echo = PlainEcho(websocket)
        self._context.connected(echo)
        websocket.begin(self._context.keepalive, echo.received, partial(self._context.disconnected, echo))
        await websocket.ended()


async def main() -> None:
    """Serve until the other end of stdin is closed."""
    server = Server(
        ServerSettings(port=0, receive_rate=Rate(1e12, 1e12), max_frame_bytes=MOST_BYTES, max_outbox_bytes=MOST_BYTES),
        MemoryLog(),
    )
    server.begin()
    sockets = take_port("127.0.0.1", 0)
    http = HTTPServer(Application([("/", PlainEchoHandler, {"context": server.context})]))
    http.add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    http.stop()
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
