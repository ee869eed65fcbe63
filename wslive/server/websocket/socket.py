"""One WebSocket after its handshake: messages in, frames out, and an orderly end.

Theory of operation. A `Carrier` brings bytes, a `Receiver` makes messages of them, and whoever it serves is called with
each, in the same turn: between `recv` and the room's queue nothing waits and nothing is scheduled. What goes out goes
through the outbox; only the answers that the protocol itself asks for (pong, close) are written here.

    open      messages are handed on; a ping is answered, or the latest of several where the answers cannot leave
    closing   a close frame was sent: nothing follows it, and what comes is dropped up to the other side's close frame
    deaf      the other side broke the rules: what comes has no meaning any more and is thrown away

Whoever floods is read more slowly (see `throttle`) and in small pieces, so nobody else's answers wait for it. When it
goes, what is unread is dropped: to work that off at such a pace would keep the connection for minutes.

From the other side's close frame, from its end, or after `CLOSE_TIMEOUT_S`, the connection is no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from time import monotonic

from wslive.server.settings import Rate
from wslive.server.websocket.carrier import FLOOD_READ_BYTES, Carrier, OnEvent
from wslive.server.websocket.keepalive import Keepalive
from wslive.server.websocket.outbox import Flusher, Outbox
from wslive.server.websocket.rfc6455 import (
    INTERNAL_ERROR,
    NORMAL,
    PING,
    PONG,
    TOO_BIG,
    Closing,
    Ping,
    Receiver,
    Violation,
    close_frame,
    control_frame,
)
from wslive.server.websocket.throttle import Throttle

logger = logging.getLogger("wslive.websocket")

CLOSE_TIMEOUT_S = 5.0
"""How long the other side may take to answer a close frame."""

LOOK_S = 1.0
"""How often it is looked whether somebody who is not read at the moment is still there."""

_PING = control_frame(PING, b"")

OnMessage = Callable[[str | bytes], None]


class State(Enum):
    """See above."""

    OPEN = "open"
    CLOSING = "closing"
    DEAF = "deaf"
    OVER = "over"


_OPEN, _DEAF = State.OPEN, State.DEAF  # see core.roles


class WebSocket:
    """One connection."""

    __slots__ = (
        "__weakref__",
        "_carrier",
        "_is_held",
        "_is_silent",
        "_on_lost",
        "_on_message",
        "_outbox",
        "_owed_pong",
        "_receiver",
        "_slow_down",
        "_state",
        "_throttle",
        "_timer",
        "_too_big",
    )

    def __init__(
        self,
        carrier: Carrier,
        flusher: Flusher,
        *,
        max_message_bytes: int,
        max_outbox_bytes: int,
        receive_rate: Rate,
        too_big: int = TOO_BIG,
    ) -> None:
        """Say and hear nothing yet.

        Args:
            carrier: Its bytes.
            flusher: The loop's own.
            max_message_bytes: The largest message that is taken, over all of its fragments.
            max_outbox_bytes: How much may be put on top of what the other side does not take.
            receive_rate: Beyond this it is read more slowly.
            too_big: The close code for larger ones.
        """
        self._carrier = carrier
        self._outbox = Outbox(carrier, flusher, max_bytes=max_outbox_bytes)
        self._receiver = Receiver(max_message_bytes)
        self._too_big = too_big
        self._state = State.OPEN
        self._is_silent = False
        self._is_held = False
        """Whether whoever it serves hears nothing at the moment."""
        self._throttle = Throttle(receive_rate, monotonic())
        self._slow_down: asyncio.TimerHandle | None = None
        """When a flood is read on; None while there is none."""
        self._owed_pong: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._on_message: OnMessage = _ignored
        self._on_lost: OnEvent = _nothing

    def begin(
        self, keepalive: Keepalive, on_message: Callable[[str | bytes], None], on_lost: Callable[[], None]
    ) -> None:
        """Hear from now on: of each message, and once of the end."""
        self._on_message, self._on_lost = on_message, on_lost
        keepalive.watch(self)
        self._carrier.start(self._received, self._taken, self._lost)

    def outbox(self, *, on_drained: OnEvent, on_full: OnEvent) -> Outbox:
        """The way out; see `Outbox` for the two calls."""
        self._outbox.on_drained, self._outbox.on_full = on_drained, on_full
        return self._outbox

    @property
    def unsent_bytes(self) -> int:
        """How much of what was sent waits for the other side."""
        return self._carrier.unsent_bytes

    def pause(self) -> None:
        """Hear nothing until `resume`; what comes waits with the other side."""
        self._is_held = True
        self._carrier.pause()

    def resume(self) -> None:
        """Hear again."""
        self._is_held = False
        if self._slow_down is None:
            self._carrier.resume()

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; what was posted before leaves before."""
        if self._state is _OPEN:
            self._say_close(State.CLOSING, code, reason)

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._carrier.close()

    def ask(self) -> bool:
        """See `Keepalive`; whoever says nothing for a whole interval is gone."""
        if self._state is not _OPEN:
            return False
        if self._is_silent:
            self._say_close(State.CLOSING, NORMAL, "Nothing was heard for too long.")
            self._carrier.close()
            return False
        self._is_silent = True
        if not self._carrier.unsent_bytes:
            self._outbox.write(_PING)
        return True

    async def ended(self) -> None:
        """Wait for the end, where somebody has to (see `Carrier`)."""
        await self._carrier.ended()

    # ── what the carrier says ─────────────────────────────────────────────────────────────────────────────────────

    def _received(self, data: bytes) -> None:
        self._is_silent = False
        if self._state is _DEAF:
            return
        try:
            text = self._receiver.whole(data)
            if text is None:
                pieces = self._work_off(data)
            else:
                pieces = 1
                if self._state is _OPEN:
                    self._on_message(text)
        except Violation as violation:
            code = self._too_big if violation.code == TOO_BIG else violation.code
            self._fail(code, violation.reason)
        except Exception:
            logger.exception("a message could not be worked off")
            self._fail(INTERNAL_ERROR, "The server made a mistake; its log says more.")
        else:
            pause_s = self._throttle.pause_s(len(data), pieces, monotonic)
            if pause_s and self._state is not _DEAF:
                loop = asyncio.get_running_loop()
                self._carrier.pause()
                self._carrier.read_bytes = FLOOD_READ_BYTES
                self._slow_down = loop.call_later(min(pause_s, LOOK_S), self._look, loop.time() + pause_s)

    def _work_off(self, data: bytes) -> int:
        """Hand on what has come, up to a close frame; how many messages and parts of messages that were."""
        receiver = self._receiver
        pieces = -receiver.parts
        for message in receiver.feed(data):
            pieces += 1
            if isinstance(message, (str, bytes)):
                if self._state is _OPEN:
                    self._on_message(message)
            elif isinstance(message, Ping):
                self._pong(message.payload)
            elif isinstance(message, Closing):
                self._answer_close(message)
                break
        return pieces + receiver.parts

    def _look(self, goes_on_at_s: float) -> None:
        """Read on when it is time to; until then look whether somebody is still there."""
        self._slow_down = None
        loop = asyncio.get_running_loop()
        if self._carrier.has_ended():
            self._state = State.DEAF
            self._carrier.close()
        elif (left_s := goes_on_at_s - loop.time()) > 0:
            self._slow_down = loop.call_later(min(left_s, LOOK_S), self._look, goes_on_at_s)
        elif not self._is_held:
            self._carrier.resume()

    def _taken(self) -> None:
        self._is_silent = False
        if self._owed_pong is not None and not self._carrier.unsent_bytes:
            owed, self._owed_pong = self._owed_pong, None
            self._pong(owed)
        self._outbox.taken()

    def _lost(self) -> None:
        self._state = State.OVER
        for timer in (self._timer, self._slow_down):
            if timer is not None:
                timer.cancel()
        self._timer = self._slow_down = None
        on_lost = self._on_lost
        self._on_message, self._on_lost = _ignored, _nothing
        self._outbox.lost()
        on_lost()

    # ── control frames ────────────────────────────────────────────────────────────────────────────────────────────

    def _pong(self, payload: bytes) -> None:
        if self._state is not _OPEN:
            return
        if self._carrier.unsent_bytes:
            self._owed_pong = payload  # somebody who only pings and never reads must not fill the memory
        else:
            self._outbox.write(control_frame(PONG, payload))

    def _answer_close(self, closing: Closing) -> None:
        """The other side closes, or answers our close frame: that was the last frame, and the connection ends."""
        if self._state is _OPEN:
            self._say_close(State.CLOSING, closing.code, closing.reason)
        self._state = State.DEAF
        if self._carrier.unsent_bytes:
            self._carrier.finish()
        else:
            self._carrier.close()

    def _fail(self, code: int, reason: str) -> None:
        if self._state is _OPEN:
            self._say_close(State.DEAF, code, reason)
        self._state = State.DEAF  # who was being let go already is still told why, and what was sent before
        self._carrier.finish()

    def _say_close(self, state: State, code: int | None, reason: str) -> None:
        self._outbox.close()
        self._state = state
        self._carrier.write(close_frame(code, reason))
        self._timer = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self._carrier.close)


def _ignored(message: str | bytes) -> None:
    pass


def _nothing() -> None:
    pass
