"""The HTTP side of Socket.IO: who may connect and from where, cookies, and the client's own script.

What may connect is the server's to say: its `Gate` and its limits, the same as for every WebSocket. python-engineio's
own look at the Origin is switched off, since it knows one list and not the rest.

After its handshake a WebSocket leaves Tornado as every other one does (`server.websocket`), so fragments, pings and
floods are no special case here. What python-engineio sees of it is a queue of messages.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engineio.exceptions import EngineIOError
from socketio import get_tornado_handler
from tornado.web import RequestHandler

from wslive.server.access.origins import refusal_of
from wslive.server.http.access_log import Discreet
from wslive.server.http.context import Context
from wslive.server.http.handshake import taken_over, turn_away, turned_away
from wslive.server.http.pages import Handler
from wslive.server.websocket.rfc6455 import NORMAL, text_frame
from wslive.server.websocket.socket import WebSocket
from wslive.socketio.identity import COOKIE, kept_cookie, new_secret
from wslive.socketio.transport import Transport
from wslive.wire.close_codes import CloseCode

logger = logging.getLogger("wslive.socketio")

COOKIE_DAYS = 30

MAX_PAYLOAD_BYTES = 60 * 1024
"""The largest request of a polling client, and the largest message: a client sends several events with one request.
Below what a server of ours takes as a body."""

ENGINE_PACKETS = frozenset("123456")
"""What a client's messages begin with: close, ping, pong, message, upgrade, nothing."""

MAX_UNREAD = 64
"""So many messages of one WebSocket wait to be worked off, and what was read with them; then no more is read."""

OTHER_VERSION = (
    "This server speaks the protocol of Socket.IO 3 and 4 (Engine.IO 4). Use socket.io-client 4, or python-socketio 5."
)
UNKNOWN_CONNECTION = "This connection has ended, or never was; begin with a handshake."
NO_CLIENT = (
    "This server has no copy of the Socket.IO client. Install socket.io-client from npm and start the server with\n"
    "    --socketio-client node_modules/socket.io-client/dist/socket.io.js"
)


def engine_handler(context: Context, transports: Mapping[str | None, Transport], sio: Any) -> type[RequestHandler]:
    """The handler of `/socket.io/`, made for one server; `transports` are its open connections."""
    base: Any = get_tornado_handler(sio)

    class EngineHandler(Discreet, base):  # type: ignore[misc]
        """Long-polling requests, and the WebSocket."""

        secret = ""
        cookie: str | None = None
        websocket: WebSocket | None = None
        transport: Transport | None = None
        """None also where a request is answered before `prepare`: one by a method that HTTP does not know."""

        async def prepare(self) -> None:
            """Admit or refuse a request; who floods waits."""
            engine_id = self.get_query_argument("sid", None)
            self.transport = transports.get(engine_id)
            if engine_id is None:
                refused = turned_away(self, context)
            else:
                refused = _is_elsewhere(self, context)
            if refused:
                return
            self.set_header("Cache-Control", "no-store")
            _allow_origin(self)
            if self.request.method == "OPTIONS":
                self.set_status(204)
                self.finish()
            elif len(self.request.body) > MAX_PAYLOAD_BYTES:
                turn_away(self, 413, f"At most {MAX_PAYLOAD_BYTES} bytes a request.")
                if self.transport is not None:
                    self.transport.close(CloseCode.FRAME_TOO_BIG)
            elif self.get_query_argument("j", None) is not None:
                # A page of any site may include a script, without an Origin: that way in stays closed.
                turn_away(self, 400, "This server sends no JSONP.")
            elif engine_id is None and self.get_query_argument("EIO", None) != "4":
                _turn_away_other_version(self)
            elif engine_id is not None and self.transport is None:
                # Before the upgrade: the driver would leave the WebSocket open, with nobody at it.
                self.set_status(400)
                self.finish({"code": 1, "message": UNKNOWN_CONNECTION})
            else:
                self._recognise()
                if self.request.body:
                    # Packets are told apart by one character.
                    await self._slow_down(len(self.request.body), 1 + self.request.body.count(b"\x1e"))

        async def _slow_down(self, size_bytes: int, messages: int) -> None:
            """Let who floods wait, as every other client that does; what they send on waits with themselves."""
            if self.transport is not None:
                pause_s = self.transport.throttle.pause_s(size_bytes, messages, time.monotonic)
                if pause_s:
                    await asyncio.sleep(pause_s)

        def _recognise(self) -> None:
            self.cookie = kept_cookie(self.get_cookie(COOKIE))
            if self.transport is not None:
                # A browser that keeps cookies shows with the second request what it got with the first.
                if self.cookie is not None and self.cookie == self.transport.secret:
                    self.transport.cookie = self.cookie
                return
            self.secret = new_secret()
            if self.cookie is None:
                secure = self.request.protocol == "https"
                self.set_cookie(
                    COOKIE, self.secret, expires_days=COOKIE_DAYS, httponly=True, samesite="Lax", secure=secure
                )

        def check_origin(self, origin: str) -> bool:
            """`prepare` has looked at it already."""
            return True

        def get_compression_options(self) -> None:
            """None: it costs memory for every connection, and the frames are small."""

        @property
        def ping_interval(self) -> float | None:
            """None: Tornado pings nobody here (see `server.websocket.keepalive`)."""
            return None

        async def open(self, *args: str, **kwargs: str) -> None:
            """The WebSocket's handshake is done."""
            transport = self.transport
            if transport is not None and not transport.has_got(self):
                self.close(CloseCode.PROTOCOL_ERROR, CloseCode.PROTOCOL_ERROR.sentence)
                return
            websocket = await taken_over(
                self, context, too_big=CloseCode.FRAME_TOO_BIG, max_message_bytes=MAX_PAYLOAD_BYTES
            )
            if websocket is None:
                if transport is not None:
                    transport.has_lost(self)
                return
            self.websocket = websocket
            self._is_flushing = False
            self._outbox = websocket.outbox(on_drained=self._drained, on_full=websocket.abort)
            self._serving = asyncio.ensure_future(sio.eio.handle_request(self))
            self._serving.add_done_callback(self._served)
            websocket.begin(context.keepalive, self._received, self._lost)
            await websocket.ended()

        def _served(self, serving: asyncio.Future[Any]) -> None:
            error = None if serving.cancelled() else serving.exception()
            if error is not None and not isinstance(error, OSError | ValueError | EngineIOError):  # what clients cause
                logger.error("a connection of a Socket.IO client failed", exc_info=error)
            # The driver lets go of a WebSocket that is none of the protocol, and leaves it open.
            self.close(CloseCode.PROTOCOL_ERROR, CloseCode.PROTOCOL_ERROR.sentence)

        def _received(self, message: str | bytes) -> None:
            """Something came. What is not even Engine.IO ends the connection, as the official server does."""
            assert self.websocket is not None
            if isinstance(message, str) and message[:1] not in ENGINE_PACKETS:
                self.close(CloseCode.PROTOCOL_ERROR, CloseCode.PROTOCOL_ERROR.sentence)
                return
            self.receive_queue.put_nowait(message)
            if self.receive_queue.qsize() >= MAX_UNREAD:
                self.websocket.pause()

        async def get_next_message(self) -> str | bytes | None:
            """What came next; None at the end."""
            message: str | bytes | None = await self.receive_queue.get()
            if self.websocket is not None and self.receive_queue.qsize() == MAX_UNREAD - 1:
                self.websocket.resume()
            return message

        def _lost(self) -> None:
            """The WebSocket is no more: what came before is worked off, then its end is."""
            self.receive_queue.put_nowait(None)
            if self.transport is not None:
                self.transport.has_lost(self)

        def on_close(self) -> None:
            """Tornado's part is over; the driver would take this for the end of the WebSocket."""

        def on_connection_close(self) -> None:
            """Whoever breaks off a poll is gone, as for the official server; python-engineio would wait for a pong."""
            super().on_connection_close()
            is_poll = self.get_status() != 101
            if is_poll and self.transport is not None and self.transport.websocket is None:
                self.transport.abort()

        def write_message(self, message: str | bytes, binary: bool = False) -> None:
            """Send a text; nobody here sends anything else."""
            assert isinstance(message, str)
            self._outbox.post(text_frame(message.encode()))
            if not self._is_flushing:
                self._is_flushing = True
                asyncio.get_running_loop().call_soon(self._flushed)  # after the outbox

        def _flushed(self) -> None:
            self._is_flushing = False
            self._drained()

        def _drained(self) -> None:
            if self.transport is not None:
                self.transport.drained()

        @property
        def is_clear(self) -> bool:
            """Whether nothing that was sent waits for the other side."""
            return self.websocket is None or (not self._is_flushing and self._outbox.is_clear)

        def on_finish(self) -> None:
            """A poll was answered: what waited has been taken."""
            self._drained()

        def close(self, code: int | None = None, reason: str | None = None) -> None:
            """Begin the closing handshake."""
            if self.websocket is None:
                super().close(code, reason)
            else:
                self.websocket.close(code or NORMAL, reason or "")

        def cut(self) -> None:
            """Cut the WebSocket's connection without a word."""
            if self.websocket is not None:
                self.websocket.abort()

    return EngineHandler


class ClientHandler(Handler):
    """`/socket.io/socket.io.js`: the official client, which pages of the original programs load from their server."""

    def initialize(self, context: Context, file: Path | None = None) -> None:
        """Serve a copy from npm, if there is one."""
        super().initialize(context)
        self._file = file

    def get(self) -> None:
        """The script, or how to get one."""
        if self._file is None:
            turn_away(self, 404, NO_CLIENT)
            return
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.finish(self._file.read_bytes())


def _turn_away_other_version(handler: RequestHandler) -> None:
    """Say which versions are spoken here, so that the client's own page can show it.

    Clients of version 1 and 2 (Engine.IO 3) that begin by polling are let in for as long as it takes to send them an
    `error` event; all others get what the official server answers, with its code for this, 5.
    """
    arguments = handler.get_query_argument
    if arguments("EIO", None) == "3" and arguments("transport", None) == "polling":
        opened = {"sid": new_secret(), "upgrades": [], "pingInterval": 25000, "pingTimeout": 5000}
        packets = ["0" + json.dumps(opened), "44" + json.dumps(OTHER_VERSION), "41"]
        handler.set_header("Content-Type", "text/plain; charset=utf-8")
        handler.finish("".join(f"{len(packet)}:{packet}" for packet in packets))
    else:
        handler.set_status(400)
        handler.finish({"code": 5, "message": OTHER_VERSION})


def _is_elsewhere(handler: RequestHandler, context: Context) -> bool:
    """Whether a request of a connection that there is comes from where it may not; a full server goes on with it."""
    error = refusal_of(context.gate, handler.request, has_ticket=False)
    if error is not None:
        turn_away(handler, 403, error)
    return error is not None


def _allow_origin(handler: RequestHandler) -> None:
    """Let the browser hand the answer to a page of another origin, which was admitted."""
    handler.set_header("Vary", "Origin")
    origin = handler.request.headers.get("Origin")
    if origin is not None:
        handler.set_header("Access-Control-Allow-Origin", origin)
        handler.set_header("Access-Control-Allow-Credentials", "true")
        handler.set_header("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
        wanted = handler.request.headers.get("Access-Control-Request-Headers")
        if wanted:
            handler.set_header("Access-Control-Allow-Headers", wanted)
