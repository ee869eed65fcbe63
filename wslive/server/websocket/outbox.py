"""What is on its way to one connection.

Theory of operation. Frames that gather in one turn of the event loop leave in one send: of a thousand acks to a
thousand people each costs one system call, and of sixteen lines to one person all cost one. What the socket does not
take waits with the carrier; from then on the connection is behind, and no delta is put on top: what it misses is
computed when everything has gone (see `views.fanout`). Acks and pages are queued always, for nobody could compute them
again; a connection that lets more of them gather than the limit, or takes nothing for too long, is closed with a code
that says: come back.

Most of the time nothing waits and nothing has gathered. `straight` is the socket's own `send` then, and None otherwise,
so a fan-out to a thousand people is a loop over a thousand system calls with hardly anything in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from wslive.server.websocket.carrier import Carrier

logger = logging.getLogger("wslive.outbox")


Straight = Callable[[bytes], int]


class WayOut(Protocol):
    """What a connection and the fan-out need of an outbox, whatever carries its frames."""

    @property
    def is_clear(self) -> bool:
        """Whether nothing waits. Only then another delta is posted; when it is so again, `on_drained` is called."""
        ...

    @property
    def stuck_since_s(self) -> float | None:
        """Since when nothing was taken while something waits (loop time); None while nothing does."""
        ...

    @property
    def straight(self) -> Straight | None:
        """Sends what it is given at once and says how much of that was taken; the rest has to be posted.

        None where something has gathered or waits, which is not to be overtaken; `post` is the only way then.
        """
        ...

    def post(self, frame: bytes) -> None:
        """Send a frame, soon and in order."""
        ...

    def send(self, frame: bytes) -> None:
        """Send a frame with what has gathered, and wait for no more."""
        ...

    def close(self) -> None:
        """Send what has gathered, and drop what is posted from now on."""
        ...

    def abort(self) -> None:
        """Cut the connection."""
        ...


class Flusher:
    """Sends what all outboxes of a loop gathered, once a turn: one callback for many connections."""

    def __init__(self) -> None:
        """Start with nothing gathered."""
        self._dirty: list[Outbox] = []

    def add(self, outbox: Outbox) -> None:
        """Flush `outbox` at the end of this turn."""
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty.append(outbox)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for outbox in dirty:
            outbox.flush()


class Outbox:
    """One connection's way out."""

    __slots__ = (
        "_carrier",
        "_flusher",
        "_gathered",
        "_is_closed",
        "_max_bytes",
        "_on_top_bytes",
        "_send",
        "on_drained",
        "on_full",
        "straight",
        "stuck_since_s",
    )

    def __init__(self, carrier: Carrier, flusher: Flusher, *, max_bytes: int) -> None:
        """Start with nothing on its way.

        Args:
            carrier: What to write to; whoever owns it calls `taken` and `lost`.
            flusher: The loop's own.
            max_bytes: How much may be put on top of what the socket does not take.
        """
        self._carrier = carrier
        self._flusher = flusher
        self._max_bytes = max_bytes
        self._send = carrier.straight
        self._gathered: list[bytes] = []
        self._on_top_bytes = 0
        self._is_closed = False
        self.on_drained: Callable[[], None] = _nothing
        """Called when everything that waited has gone."""
        self.on_full: Callable[[], None] = _nothing
        """Called once, in a later turn, when there is more than the limit on top; what is posted then is dropped."""
        self.stuck_since_s: float | None = None
        """When the socket last took bytes while some wait (loop time); None while none wait."""
        self.straight = carrier.straight
        """See `WayOut`."""

    def post(self, frame: bytes) -> None:
        """Send a frame at the end of this turn."""
        if self._is_closed:
            return
        if self._carrier.unsent_bytes:
            self._on_top_bytes += len(frame)
            if self._on_top_bytes > self._max_bytes:
                self._end()
                asyncio.get_running_loop().call_soon(self.on_full)
                return
        if not self._gathered:
            self._flusher.add(self)
            self.straight = None
        self._gathered.append(frame)

    def send(self, frame: bytes) -> None:
        """See `WayOut`."""
        self.post(frame)
        self.flush()

    @property
    def is_clear(self) -> bool:
        """Whether nothing waits."""
        return not self._carrier.unsent_bytes

    @property
    def unsent_bytes(self) -> int:
        """How much waits (what the kernel holds is not counted)."""
        return self._carrier.unsent_bytes

    def flush(self) -> None:
        """Send what has gathered."""
        gathered = self._gathered
        if not gathered:
            return
        try:
            data = gathered[0] if len(gathered) == 1 else b"".join(gathered)
            gathered.clear()
            self.straight = self._send
            self.write(data)
        except Exception:
            # The others' frames must go out all the same.
            logger.exception("a connection could not be written to")
            self.abort()

    def write(self, data: bytes) -> None:
        """Send at once, before what has gathered: what the protocol itself says, which no limit counts."""
        self._carrier.write(data)
        if self._carrier.unsent_bytes:
            self.straight = None
            if self.stuck_since_s is None:
                self.stuck_since_s = asyncio.get_running_loop().time()

    def close(self) -> None:
        """Send what has gathered, and drop what is posted from now on: nothing may follow a close frame."""
        self._end()
        self.flush()

    def abort(self) -> None:
        """Cut the connection: nobody waits for the other side any more."""
        self._end()
        self._carrier.close()

    def taken(self) -> None:
        """Some of what waited has been taken."""
        if self._carrier.unsent_bytes:
            self.stuck_since_s = asyncio.get_running_loop().time()
            return
        self._on_top_bytes = 0
        self.stuck_since_s = None
        if not self._gathered:
            self.straight = self._send
        if not self._is_closed:
            self.on_drained()

    def lost(self) -> None:
        """The connection is no more."""
        self._end()
        self._gathered.clear()
        self.on_drained = self.on_full = _nothing

    def _end(self) -> None:
        self._is_closed = True
        self._send = self.straight = None


def _nothing() -> None:
    pass
