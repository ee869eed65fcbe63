"""A server whose WebSocket says back exactly what it hears, on wslive's receive path: `python plain_echo.py`.

`/echo` answers bytes with text and puts words before them, and takes 16 KiB; Autobahn asks for what it sent, up to
16 MiB.
"""

from __future__ import annotations

import asyncio
import sys

from tornado.httpserver import HTTPServer
from tornado.web import Application

from wslive.eventlog.memory import MemoryLog
from wslive.server.access.network import take_port
from wslive.server.app import Server
from wslive.server.http.echo import Echo, EchoHandler
from wslive.server.settings import Rate, ServerSettings
from wslive.server.websocket.rfc6455 import TOO_BIG, text_frame

MOST_BYTES = 32 * 1024 * 1024


class PlainEcho(Echo):
    """One connection."""

    def answer(self, message: str | bytes) -> bytes:
        return text_frame(message.encode()) if isinstance(message, str) else b"\x82" + text_frame(message)[1:]


class PlainEchoHandler(EchoHandler):
    """Its handler."""

    connection = PlainEcho
    too_big = TOO_BIG


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
