"""What is on its way to one connection.

Frames that gather in one turn of the event loop leave in one send, straight to the socket where nothing waits there.
What the socket does not take goes through Tornado's stream, which buffers it; from then on the connection is behind,
and no delta is put on top: what it misses is computed when the stream has drained (see `fanout`). Acks and pages are
queued always, for nobody could compute them again. More unsent bytes than the limit, or none taken for too long, and
the connection is closed with a code that says: come back.

This is the one place that reaches below Tornado's `write_message`, which makes a future, a coroutine and a task per
frame; 43 % of its time goes to the cyclic garbage collector. It relies on `IOStream.socket`, `.writing()` and
`.write()`; tests/server/test_outbox.py fails clearly if they change.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from tornado.iostream import IOStream, StreamClosedError


def text_frame(payload: bytes) -> bytes:
    """A whole, unmasked text frame (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81" + bytes((size,)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


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

    __slots__ = ("_flusher", "_gathered", "_on_drained", "_stream", "_unsent_bytes", "stuck_since_s")

    def __init__(self, stream: IOStream, flusher: Flusher, on_drained: Callable[[], None]) -> None:
        """Write to `stream`; `on_drained` is called when everything buffered has gone."""
        self._stream = stream
        self._flusher = flusher
        self._on_drained = on_drained
        self._gathered: list[bytes] = []
        self._unsent_bytes = 0
        self.stuck_since_s = 0.0
        """When the socket stopped taking bytes (loop time); 0 while it takes them."""

    def post(self, frame: bytes) -> None:
        """Send a frame at the end of this turn."""
        if not self._gathered:
            self._flusher.add(self)
        self._gathered.append(frame)

    @property
    def is_clear(self) -> bool:
        """Whether nothing waits in the stream."""
        return self._unsent_bytes == 0

    @property
    def unsent_bytes(self) -> int:
        """How much waits, at most (what the kernel holds is not counted)."""
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
        rest = data[sent:]
        if not self._unsent_bytes:
            self.stuck_since_s = asyncio.get_running_loop().time()
        self._unsent_bytes += len(rest)
        try:
            stream.write(rest).add_done_callback(self._written)
        except StreamClosedError:
            pass

    def _written(self, future: asyncio.Future[None]) -> None:
        if future.cancelled() or future.exception() is not None:
            return  # closed; the socket's own callback tells the rest
        now_s = asyncio.get_running_loop().time()
        if self._stream.writing():
            self.stuck_since_s = now_s
            return
        self._unsent_bytes = 0
        self.stuck_since_s = 0.0
        self._on_drained()
