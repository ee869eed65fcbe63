"""The rules of one connection, as a table: what may come when, and what follows from it.

    NEW ── hello ──▶ JOINING ── (admitted) ──▶ JOINED ── (closed) ──▶ CLOSED

No socket and no clock is touched here: a frame goes in, effects come out, and the caller carries them out. What a
connection sends out of turn, or what is no message, is answered with a `refused` without ref and counted; a
connection that goes on like that is closed for good.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from wslive.wire.close_codes import CloseCode
from wslive.wire.codec import FrameError, FrameTooBig, decode_client
from wslive.wire.messages import (
    MAX_FRAME_BYTES,
    ClientMessage,
    Command,
    GetTicket,
    Hello,
    Ping,
    Pong,
    ReadOlder,
    Refused,
    ServerMessage,
)

MAX_ERRORS = 20
"""How many frames of one connection may be nonsense before it is closed."""


class Phase(Enum):
    """Where a connection stands."""

    NEW = "new"
    JOINING = "joining"
    JOINED = "joined"
    CLOSED = "closed"


class Reply(NamedTuple):
    """Send a message back."""

    message: ServerMessage


class Close(NamedTuple):
    """Close the connection."""

    code: CloseCode
    reason: str = ""


Effect = Hello | Command | ReadOlder | GetTicket | Reply | Close
"""A message stands for itself: carry out what it wishes."""

_CLOSED, _JOINED = Phase.CLOSED, Phase.JOINED  # see core.roles

# In which phase what may come, and the phase that follows. A ping is answered always; all else is out of turn.
_MOVES: dict[type[ClientMessage], tuple[Phase, Phase]] = {
    Hello: (Phase.NEW, Phase.JOINING),
    Command: (Phase.JOINED, Phase.JOINED),
    ReadOlder: (Phase.JOINED, Phase.JOINED),
    GetTicket: (Phase.JOINED, Phase.JOINED),
}


class Session:
    """One connection's state."""

    __slots__ = ("errors", "max_frame_bytes", "phase")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        """Start before the hello."""
        self.phase = Phase.NEW
        self.errors = 0
        self.max_frame_bytes = max_frame_bytes

    def receive(self, frame: str | bytes) -> Effect | None:
        """What follows from a frame; None after closing."""
        if self.phase is _CLOSED:
            return None
        if isinstance(frame, bytes):
            return self._close(CloseCode.PROTOCOL_ERROR, "messages are text frames, not binary ones")
        try:
            message = decode_client(frame, self.max_frame_bytes)
        except FrameTooBig:
            return self._close(CloseCode.FRAME_TOO_BIG, f"at most {self.max_frame_bytes} bytes a frame")
        except FrameError as error:
            return self._error("bad_frame", f"This frame is not a message of wslive.v1: {error}.")
        if type(message) is Command and self.phase is _JOINED:
            return message  # nearly all of them
        if isinstance(message, Ping):
            return Reply(Pong(message.n))
        before, after = _MOVES[type(message)]
        if self.phase is not before:
            name = type(message).__name__
            return self._error("out_of_turn", f"A {name} cannot come while the connection is {self.phase.value}.")
        self.phase = after
        return message

    def admitted(self) -> None:
        """The hello was accepted."""
        if self.phase is Phase.JOINING:
            self.phase = Phase.JOINED

    def closed(self) -> None:
        """The connection is gone."""
        self.phase = Phase.CLOSED

    def _error(self, code: str, message: str) -> Effect:
        self.errors += 1
        if self.phase is Phase.NEW:
            return self._close(CloseCode.PROTOCOL_ERROR, message)
        if self.errors > MAX_ERRORS:
            return self._close(CloseCode.TOO_MANY_ERRORS, message)
        return Reply(Refused("", code, message))

    def _close(self, code: CloseCode, reason: str) -> Close:
        self.phase = Phase.CLOSED
        return Close(code, reason)
