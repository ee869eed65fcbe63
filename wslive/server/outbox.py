"""What is on its way to one connection.

Frames that gather in one turn of the event loop leave in one send, straight to the socket where nothing waits there.
What the socket does not take goes through Tornado's stream, which buffers it; from then on the connection is behind,
and no delta is put on top: what it misses is computed when the stream has drained (see `fanout`). Acks and pages are
queued always, for nobody could compute them again; a connection that lets more of them gather than the limit, or takes
nothing for too long, is closed with a code that says: come back.

This is the one place that reaches below Tornado's `write_message`, which makes a future, a coroutine and a task per
frame; 43 % of its time goes to the cyclic garbage collector. It relies on `IOStream.socket`, `.writing()` and
`.write()`: Tornado writes its own frames (ping, pong, close) through the stream too, whole ones, and where `.writing()`
is false it has nothing half sent. tests/server/test_outbox.py fails clearly if that changes.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from functools import partial
from typing import Protocol

from tornado.iostream import IOStream, StreamClosedError

logger = logging.getLogger("wslive.outbox")

CHUNK_BYTES = 16 * 1024
"""A connection that takes this much within the limit for stuck ones is slow, but not stuck."""


def text_frame(payload: bytes) -> bytes:
    """A whole, unmasked text frame (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81" + bytes((size,)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def unframed(frame: bytes) -> bytes:
    """The payload of what `text_frame` made, for a way out that is no WebSocket."""
    size = frame[1]
    return frame[2 if size < 126 else 4 if size == 126 else 10 :]


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

    def post(self, frame: bytes) -> None:
        """Send a frame, soon and in order."""
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
            try:
                outbox.flush()
            except Exception:
                # The others' frames must go out all the same.
                logger.exception("a connection could not be written to")
                outbox.abort()


class Outbox:
    """One connection's way out."""

    __slots__ = (
        "_flusher",
        "_gathered",
        "_is_closed",
        "_max_bytes",
        "_on_drained",
        "_on_full",
        "_on_top_bytes",
        "_stream",
        "_unsent_bytes",
        "stuck_since_s",
    )

    def __init__(
        self,
        stream: IOStream,
        flusher: Flusher,
        *,
        max_bytes: int,
        on_drained: Callable[[], None],
        on_full: Callable[[], None],
    ) -> None:
        """Start with nothing on its way.

        Args:
            stream: What to write to.
            flusher: The loop's own.
            max_bytes: How much may be put on top of what the socket does not take.
            on_drained: Called when everything buffered has gone.
            on_full: Called once, in a later turn, when there is more than that on top; what is posted then is dropped.
        """
        self._stream = stream
        self._flusher = flusher
        self._max_bytes = max_bytes
        self._on_drained = on_drained
        self._on_full = on_full
        self._gathered: list[bytes] = []
        self._unsent_bytes = 0
        self._on_top_bytes = 0
        self._is_closed = False
        self.stuck_since_s: float | None = None
        """When the socket last took bytes while some wait (loop time); None while none wait."""

    def post(self, frame: bytes) -> None:
        """Send a frame at the end of this turn."""
        if self._is_closed:
            return
        if self._unsent_bytes:
            self._on_top_bytes += len(frame)
            if self._on_top_bytes > self._max_bytes:
                self._is_closed = True
                asyncio.get_running_loop().call_soon(self._on_full)
                return
        if not self._gathered:
            self._flusher.add(self)
        self._gathered.append(frame)

    @property
    def is_clear(self) -> bool:
        """Whether nothing waits in the stream."""
        return self._unsent_bytes == 0

    @property
    def unsent_bytes(self) -> int:
        """How much waits in the stream (what the kernel holds is not counted)."""
        return self._unsent_bytes

    def flush(self) -> None:
        """Send what has gathered."""
        if not self._gathered:
            return
        data = self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)
        self._gathered.clear()
        stream = self._stream
        if stream.closed():
            return
        sent = 0
        if not self._unsent_bytes and not stream.writing() and not isinstance(stream.socket, ssl.SSLSocket):
            try:
                sent = stream.socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                stream.close()
                return
            if sent == len(data):
                return
        self._buffer(memoryview(data)[sent:])

    def close(self) -> None:
        """Send what has gathered, and drop what is posted from now on: nothing may follow a close frame."""
        self._is_closed = True
        self.flush()

    def abort(self) -> None:
        """Cut the connection: nobody waits for the other side any more."""
        self._is_closed = True
        self._stream.close()

    def _buffer(self, rest: memoryview) -> None:
        """Leave the rest to the stream: all of it now, so that no frame of Tornado's comes between its parts."""
        if not self._unsent_bytes:
            self.stuck_since_s = asyncio.get_running_loop().time()
        self._unsent_bytes += len(rest)
        try:
            for start in range(0, len(rest), CHUNK_BYTES):
                chunk = rest[start : start + CHUNK_BYTES]
                self._stream.write(chunk).add_done_callback(partial(self._taken, len(chunk)))
        except StreamClosedError:
            pass  # the handler is told by Tornado

    def _taken(self, size: int, written: asyncio.Future[None]) -> None:
        if written.cancelled() or written.exception() is not None:
            return  # closed
        self._unsent_bytes -= size
        self.stuck_since_s = asyncio.get_running_loop().time()
        if self._unsent_bytes:
            return
        self._on_top_bytes = 0
        self.stuck_since_s = None
        self._on_drained()
