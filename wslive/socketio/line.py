"""A connection of `wslive.v1` without a network: the same frames and the same `server.connection` as on a WebSocket."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from wslive.core.errors import BadCommand, TemporarilyUnavailable, refusal
from wslive.core.roles import Level
from wslive.server.access.neighbours import Neighbourhood
from wslive.server.connection import Connection
from wslive.server.http.context import Context
from wslive.server.websocket.outbox import Straight, WayOut
from wslive.server.websocket.rfc6455 import unframed
from wslive.wire import messages
from wslive.wire.close_codes import CloseCode
from wslive.wire.codec import decode_server, encode

logger = logging.getLogger("wslive.socketio")

_GONE = "The connection ended before the room answered."


class Listener(Protocol):
    """Who is at this end of the line."""

    def hear(self, line: Line, message: messages.ServerMessage) -> None:
        """A welcome, or news of the room."""
        ...

    def acked(self, kind: str, offset: int) -> None:
        """A command is in the log; the room hears of what it did after this."""
        ...

    def ended(self, line: Line, code: CloseCode, reason: str) -> None:
        """The room has closed a line that was welcome before."""
        ...


class Outlet(Protocol):
    """Where what is heard goes on to: only that it can is asked here."""

    @property
    def is_clear(self) -> bool:
        """Whether it would take something at once."""
        ...

    @property
    def stuck_since_s(self) -> float | None:
        """Since when it has taken nothing while something waits (loop time)."""
        ...


class Line:
    """What a server's `Connection` takes for its socket.

    Attributes:
        on_drained: To be called when the outlet has become clear again.
        on_full: To be called when it holds more than it may.
    """

    def __init__(
        self,
        context: Context,
        outlet: Outlet,
        listener: Listener,
        level: Level = Level.TOKEN,
        network: Neighbourhood = None,
        *,
        from_elsewhere: bool = False,
    ) -> None:
        """Connect; `say_hello` comes next. `level` is that of a new participant, the others say where the client is."""
        self.on_drained: Callable[[], None] = lambda: None
        self.on_full: Callable[[], None] = lambda: None
        self._listener = listener
        self._max_frame_bytes = context.settings.max_frame_bytes
        self._welcomed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._answers: dict[str, tuple[str, asyncio.Future[int]]] = {}
        self._way_out = _WayOut(self._heard, outlet)
        self._is_lost = False
        # Whoever comes this way belongs to the audience.
        self._connection = Connection(
            context.door,
            self,
            context.settings,
            None,
            audience_only=True,
            level=level,
            network=network,
            from_elsewhere=from_elsewhere,
        )

    async def say_hello(self, hello: messages.Hello) -> int:
        """Come in, and return how far the room is.

        Raises:
            Refused: With the reason.
        """
        self._connection.received(encode(hello).decode())
        return await self._welcomed

    def command(self, activity: int, kind: str, body: dict[str, Any]) -> asyncio.Future[int]:
        """Send a command; its offset, or the refusal, comes later.

        Raises:
            BadCommand: It is larger than a frame may be.
            TemporarilyUnavailable: Nobody is at this end any more.
        """
        if self._is_lost:
            raise TemporarilyUnavailable(_GONE)
        ref = secrets.token_urlsafe(12)
        frame = encode(messages.Command(ref, activity, kind, msgspec.Raw(msgspec.json.encode(body))))
        if len(frame) > self._max_frame_bytes:
            raise BadCommand(f"That has {len(frame)} bytes; this server takes at most {self._max_frame_bytes}.")
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._answers[ref] = (kind, answer)
        self._connection.received(frame.decode())
        return answer

    def say_bye(self, spread_s: float) -> None:
        """The server goes down."""
        self._connection.say_bye(spread_s)

    def lost(self) -> None:
        """Nobody is at this end any more; what was asked is done all the same."""
        self._is_lost = True
        self._connection.lost()
        self._way_out.close()
        answers, self._answers = self._answers, {}
        for answer in (self._welcomed, *(answer for _, answer in answers.values())):
            if not answer.done():
                answer.set_exception(TemporarilyUnavailable(_GONE))
                answer.exception()  # perhaps nobody waits any more

    # ── as the connection's socket ────────────────────────────────────────────────────────────────────────────────

    def outbox(self, *, on_drained: Callable[[], None], on_full: Callable[[], None]) -> WayOut:
        """The way out: straight to the listener."""
        self.on_drained, self.on_full = on_drained, on_full
        return self._way_out

    def close(self, code: int, reason: str) -> None:
        """The connection ends the line."""
        if self._welcomed.done() and self._welcomed.exception() is None:
            self._listener.ended(self, CloseCode(code), reason)
        elif not self._welcomed.done():
            self._welcomed.set_exception(TemporarilyUnavailable(reason))

    def _heard(self, frame: bytes) -> None:
        try:
            self._take(decode_server(unframed(frame)))
        except Exception:
            # Whoever posts is in the middle of serving the whole room.
            logger.exception("a message of a room failed at a Socket.IO client")
            trouble = CloseCode.STORE_TROUBLE
            asyncio.get_running_loop().call_soon(self._connection.close, trouble)

    def _take(self, message: messages.ServerMessage) -> None:
        match message:
            case messages.Ack(ref=ref, offset=offset):
                kind, answer = self._answers.pop(ref)
                self._listener.acked(kind, offset)
                answer.set_result(offset)
            case messages.Refused(ref=ref):
                error = refusal(message.code, message.message, message.retry_after_s)
                _, answer = self._answers.pop(ref, ("", self._welcomed))
                answer.set_exception(error)
            case messages.Welcome():
                self._listener.hear(self, message)
                self._welcomed.set_result(message.position.offset)
            case _:
                self._listener.hear(self, message)


class _WayOut:
    """Frames that are heard as soon as they are posted."""

    def __init__(self, hear: Callable[[bytes], None], outlet: Outlet) -> None:
        self._hear = hear
        self._outlet = outlet
        self._is_closed = False

    @property
    def is_clear(self) -> bool:
        return self._outlet.is_clear

    @property
    def stuck_since_s(self) -> float | None:
        return self._outlet.stuck_since_s

    @property
    def straight(self) -> Straight | None:
        return None

    def post(self, frame: bytes) -> None:
        if not self._is_closed:
            self._hear(frame)

    send = post

    def close(self) -> None:
        self._is_closed = True

    def abort(self) -> None:
        self._is_closed = True
