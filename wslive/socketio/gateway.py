"""The gateway as an extension of a server: python-socketio in the middle, clients on one side, guests on the other."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

from engineio.payload import Payload
from socketio import AsyncServer
from socketio.exceptions import ConnectionRefusedError as Refusal

from wslive.core.errors import Refused as RefusedByRoom
from wslive.core.errors import RoomUnavailable, TemporarilyUnavailable, TooFast
from wslive.server.access.guesses import wait_s
from wslive.server.http.context import Context
from wslive.server.rooms.node import LiveRoom
from wslive.socketio.authors import Authors
from wslive.socketio.guest import Guest
from wslive.socketio.handler import MAX_PAYLOAD_BYTES, ClientHandler, engine_handler
from wslive.socketio.identity import identify, recovery
from wslive.socketio.packets import EMITTED, Emitted, packet_class
from wslive.socketio.transport import Transport
from wslive.wire.close_codes import CloseCode

logger = logging.getLogger("wslive.socketio")

PING_TIMEOUT_S = 20.0
"""How long a client may leave a ping unanswered; no longer than pings are apart."""

WHICH_ROOM = (
    "Which room? Name it in the address, io('http://HOST:PORT?room=CODE'), or start the server with --socketio-room."
)


class Gateway:
    """Lets Socket.IO clients into the rooms of one server.

    Attributes:
        context: The parts of that server.
        transports: The open Engine.IO connections by their ids.
        default_code: The room of clients that name none; None turns them away.
    """

    context: Context

    def __init__(self, *, default_code: str | None = None, client_file: Path | None = None) -> None:
        """Prepare one; the server mounts it.

        Args:
            default_code: The join code of the room of clients that name none.
            client_file: A copy of the official client's script.
        """
        self.default_code = default_code
        self.transports: dict[str | None, Transport] = {}
        self._client_file = client_file
        self._guests: dict[str, Guest] = {}
        self._authors: WeakKeyDictionary[LiveRoom, Authors] = WeakKeyDictionary()

    # ── as an extension of a server ───────────────────────────────────────────────────────────────────────────────

    def mount(self, context: Context) -> None:
        """Begin with the parts of a server."""
        self.context = context
        # Official clients put as many events into one request as its size allows; python-engineio drops the request
        # where they are more than this, and by itself takes 16.
        Payload.max_decode_packets = MAX_PAYLOAD_BYTES
        self._sio = AsyncServer(
            async_mode="tornado",
            serializer=packet_class(lambda sid: self._guests[sid].pid),
            namespaces="*",
            cors_allowed_origins=[],
            http_compression=False,
            ping_interval=context.settings.ping_interval_s,
            ping_timeout=min(PING_TIMEOUT_S, context.settings.ping_interval_s),
            max_http_buffer_size=MAX_PAYLOAD_BYTES,
            logger=_quiet("protocol"),
            engineio_logger=_quiet("engine"),
        )
        self._sio.on("connect", self._connect)
        self._sio.on("disconnect", self._disconnect)
        self._sio.on(EMITTED, self._emitted)
        self._sio.on("connect", self._no_namespace, namespace="*")
        # Of connections that come and go without ever speaking Socket.IO only Engine.IO knows.
        self._engine = self._sio.eio
        began, ended = self._engine.handlers["connect"], self._engine.handlers["disconnect"]

        async def on_began(id: str, environ: dict[str, Any]) -> None:
            await began(id, environ)
            self._transport_began(id, environ["tornado.handler"])

        async def on_ended(id: str, reason: str) -> None:
            await ended(id, reason)
            self._transport_ended(id)

        self._engine.on("connect", on_began)
        self._engine.on("disconnect", on_ended)

    def routes(self) -> list[Any]:
        """The protocol, and the script of the client."""
        script = {"context": self.context, "file": self._client_file}
        return [
            (r"/socket\.io/socket\.io(?:\.min)?\.js", ClientHandler, script),
            (r"/socket\.io/", engine_handler(self.context, self.transports, self._sio)),
        ]

    async def close(self) -> None:
        """End the upkeep of connections."""
        if self._engine.service_task_handle is not None:  # nobody came, or it was closed before
            await self._sio.shutdown()

    # ── connections ───────────────────────────────────────────────────────────────────────────────────────────────

    def _transport_began(self, id: str, handler: Any) -> None:
        # What a handshake without cookie was given as one is also the secret of its connection.
        network = self.context.neighbours.of(handler.request)
        transport = Transport(
            self._engine,
            id,
            secret=handler.secret,
            cookie=handler.cookie,
            receive_rate=self.context.settings.receive_rate,
            network=network,
            from_elsewhere=self.context.gate.is_from_elsewhere(handler.request, network),
        )
        if handler.websocket is not None:
            transport.has_got(handler)
        handler.transport = self.transports[id] = transport
        self.context.connected(transport)

    def _transport_ended(self, id: str) -> None:
        transport = self.transports.pop(id, None)
        if transport is not None:
            self.context.disconnected(transport)
            transport.ended()
            if transport.sid is not None:
                self._lost(transport.sid)

    # ── clients ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _connect(self, sid: str, environ: dict[str, Any], auth: object) -> None:
        transport = environ["tornado.handler"].transport
        loop = asyncio.get_running_loop()
        asked_at_s = loop.time()
        try:
            guest = await self._let_in(sid, transport, environ, auth)
        except RefusedByRoom as refused:
            # Who is refused stays away; who is cut off comes back.
            if isinstance(refused, TemporarilyUnavailable):
                transport.close(CloseCode.STORE_TROUBLE)
            else:
                await asyncio.sleep(wait_s(asked_at_s, loop.time()))
                if isinstance(refused, TooFast):
                    transport.close(CloseCode.TOO_MANY_GUESSES)
            raise Refusal(refused.message, {"code": refused.code, "message": refused.message}) from None
        except Exception:
            logger.exception("a client could not be let in")
            transport.close(CloseCode.STORE_TROUBLE)
            raise Refusal(CloseCode.STORE_TROUBLE.sentence) from None
        # python-socketio says that the client is in before this turn of the loop ends.
        asyncio.get_running_loop().call_soon(guest.begin)

    async def _let_in(self, sid: str, transport: Transport, environ: dict[str, Any], auth: object) -> Guest:
        query = parse_qs(environ["QUERY_STRING"])
        code = query.get("room", [self.default_code])[-1]
        if code is None:
            raise RoomUnavailable(WHICH_ROOM)
        known = recovery(auth, transport.secret)
        identity = identify(auth, cookie=transport.cookie, lineage=known.lineage, signer=self.context.door.signer)
        guest = Guest(self.context, transport, sid, identity, known, on_dismissed=lambda: self._dismiss(sid))
        self._guests[sid], transport.sid = guest, sid
        try:
            await guest.open(code, self._authors_of)
            if sid not in self._guests:  # the connection has ended meanwhile
                raise TemporarilyUnavailable
        except BaseException:
            self._guests.pop(sid, None)
            guest.lost()
            raise
        return guest

    async def _disconnect(self, sid: str, reason: str) -> None:
        self._lost(sid)

    def _lost(self, sid: str) -> None:
        guest = self._guests.pop(sid, None)
        if guest is not None:
            guest.lost()

    def _dismiss(self, sid: str) -> None:
        """Tell a client that it is not to come back by itself."""
        self._engine.start_background_task(self._sio.disconnect, sid)

    async def _emitted(self, sid: str, emitted: Emitted) -> None:
        guest = self._guests.get(sid)
        if guest is not None:
            try:
                await guest.take(emitted)
            except Exception:
                logger.exception("an event of a client failed")

    async def _no_namespace(self, namespace: str, sid: str, environ: dict[str, Any], auth: object) -> None:
        sentence = f"There is no namespace {namespace[:40]!r} here. Connect without one."
        raise Refusal(sentence, {"code": "unknown_namespace", "message": sentence})

    def _authors_of(self, live: LiveRoom) -> Authors:
        return self._authors.setdefault(live, Authors())


def _quiet(name: str) -> logging.Logger:
    """A log in which only what should not happen is kept: what clients do wrong is told to them."""
    log = logging.getLogger(f"wslive.socketio.{name}")
    log.setLevel(logging.CRITICAL)
    return log
