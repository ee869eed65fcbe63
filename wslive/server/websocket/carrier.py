"""What carries the bytes of one connection, once the handshake of its WebSocket is done.

Theory of operation. A thousand people who vote are a thousand sockets that become readable one by one, and a fan-out
is a thousand sends; what is done for each of them is what a server of wslive can do at all. So after the handshake a
socket leaves Tornado's stream (`taken_from`) and is watched by the event loop itself, together with all others (see
`poller`):

    readable   one `recv` a loop turn, whatever waits: no connection can keep the others from their turn
    write      one `send`; what the socket does not take waits in a queue of views of the very frames that others are
               sent too, and goes on when the socket is writable again

A connection with nothing on its way costs a few hundred bytes and no task, future or timer. What cannot be done like
that (TLS, whose bytes are not those of the socket; a loop that watches no sockets) stays with Tornado's stream:
`StreamCarrier` does the same by its `read_bytes` and `write`.

Nothing private of Tornado is touched: the stream's socket is duplicated and the stream closed. What had come with the
handshake already is read from it first.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
from collections import deque
from collections.abc import Callable
from functools import partial
from socket import SHUT_WR
from socket import socket as Socket
from typing import Protocol

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from wslive.server.websocket.poller import readers_of

READ_BYTES = 16 * 1024
"""How much of one connection is read before the others get their turn."""

FLOOD_READ_BYTES = 1024
"""The same of one that floods: in 16 KiB there may be thousands of fragments, which take ten milliseconds."""

CHUNK_BYTES = 16 * 1024
"""A connection that takes this much within the limit for stuck ones is slow, but not stuck."""

_ENDS = getattr(select, "POLLRDHUP", 0)
"""The event of a half-closed connection. Linux alone has it; POLLHUP and POLLERR come unasked."""

_HANDSHAKE_BYTES = 1024 * 1024
"""More than Tornado reads beyond a request."""


OnData = Callable[[bytes], None]
OnEvent = Callable[[], None]


class Carrier(Protocol):
    """One connection's bytes, in and out.

    Attributes:
        read_bytes: How much is read before the others get their turn.
    """

    read_bytes: int

    @property
    def unsent_bytes(self) -> int:
        """How much waits here (what the kernel holds is not counted)."""
        ...

    @property
    def straight(self) -> Callable[[bytes], int] | None:
        """The system's own `send`, where there is one; for whoever knows that nothing waits here."""
        ...

    def start(
        self, on_data: Callable[[bytes], None], on_taken: Callable[[], None], on_lost: Callable[[], None]
    ) -> None:
        """Begin to read.

        Args:
            on_data: Called with what came.
            on_taken: Called when some of what waited has been taken.
            on_lost: Called once, in a turn of its own, when the connection is no more, whoever ended it.
        """
        ...

    def write(self, data: bytes) -> None:
        """Send, now or as soon as the other side takes it, in order."""
        ...

    def finish(self) -> None:
        """Nothing more is written: let the other side know when it has taken everything."""
        ...

    def close(self) -> None:
        """Cut the connection."""
        ...

    def pause(self) -> None:
        """Read no more."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def has_ended(self) -> bool:
        """Whether the other side has, also where what it sent before is still unread.

        False too where the system does not tell; then it shows when all of that has been read.
        """
        ...

    async def ended(self) -> None:
        """Wait for the end, where somebody has to: where the stream is still Tornado's."""
        ...


class SocketCarrier:
    """A socket that the event loop watches."""

    __slots__ = (
        "_early",
        "_is_closed",
        "_is_finished",
        "_loop",
        "_on_data",
        "_on_lost",
        "_on_taken",
        "_readers",
        "_socket",
        "_unsent",
        "read_bytes",
        "straight",
        "unsent_bytes",
    )

    def __init__(self, socket: Socket, early: bytes = b"") -> None:
        """Take a connected socket that does not block, and what was read from it already."""
        self._loop = asyncio.get_running_loop()
        self._readers = readers_of(self._loop)
        self._socket = socket
        self._early = early
        self._unsent: deque[memoryview] | None = None
        """None while nothing waits: an empty queue has 600 bytes."""
        self._is_closed = self._is_finished = False
        self.read_bytes = READ_BYTES
        self._on_data: OnData = _ignored
        self._on_taken = self._on_lost = _nothing
        self.straight: Callable[[bytes], int] | None = socket.send
        self.unsent_bytes = 0

    def start(
        self, on_data: Callable[[bytes], None], on_taken: Callable[[], None], on_lost: Callable[[], None]
    ) -> None:
        """See `Carrier`."""
        self._on_data, self._on_taken, self._on_lost = on_data, on_taken, on_lost
        if self._is_closed:
            self._loop.call_soon(self._lost)
            return
        self._readers.add_reader(self._socket, self._readable)
        if self._early:
            early, self._early = self._early, b""
            on_data(early)

    def write(self, data: bytes) -> None:
        """See `Carrier`."""
        if self.unsent_bytes:
            self._wait(memoryview(data))
            return
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close()
            return
        if sent < len(data):
            self._wait(memoryview(data)[sent:])

    def finish(self) -> None:
        """See `Carrier`. What comes is still taken, so that what was sent last is not lost by a reset."""
        self._is_finished = True
        if not self.unsent_bytes:
            self._end()

    def close(self) -> None:
        """See `Carrier`."""
        if self._is_closed:
            return
        self._is_closed = True
        self._readers.remove_reader(self._socket)
        if self.unsent_bytes:
            self._loop.remove_writer(self._socket)
        self._unsent, self.unsent_bytes = None, 0
        self.straight = None
        self._socket.close()
        self._loop.call_soon(self._lost)

    def pause(self) -> None:
        """See `Carrier`."""
        if not self._is_closed:
            self._readers.remove_reader(self._socket)

    def resume(self) -> None:
        """See `Carrier`."""
        if not self._is_closed:
            self._readers.add_reader(self._socket, self._readable)

    def has_ended(self) -> bool:
        """See `Carrier`."""
        return self._is_closed or _has_ended(self._socket)

    async def ended(self) -> None:
        """See `Carrier`: nobody has to."""

    def _readable(self) -> None:
        try:
            data = self._socket.recv(self.read_bytes)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._on_data(data)
        else:
            self.close()

    def _writable(self) -> None:
        assert self._unsent is not None
        try:
            while self._unsent:
                view = self._unsent[0]
                sent = self._socket.send(view)
                self.unsent_bytes -= sent
                if sent < len(view):
                    self._unsent[0] = view[sent:]
                    break
                self._unsent.popleft()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close()
            return
        if not self.unsent_bytes:
            self._unsent = None
            self._loop.remove_writer(self._socket)
            if self._is_finished:
                self._end()
        self._on_taken()

    def _wait(self, rest: memoryview) -> None:
        if self._is_closed:
            return
        if self._unsent is None:
            self._unsent = deque()
            self._loop.add_writer(self._socket, self._writable)
        self._unsent.append(rest)
        self.unsent_bytes += len(rest)

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(SHUT_WR)

    def _lost(self) -> None:
        on_lost = self._on_lost
        # What holds this carrier is held by these; nothing of it is to wait for the cyclic collector.
        self._on_data, self._on_taken, self._on_lost = _ignored, _nothing, _nothing
        on_lost()


class StreamCarrier:
    """A connection that stays with Tornado's stream."""

    def __init__(self, stream: IOStream) -> None:
        """Take a stream that nobody else reads or writes."""
        self._stream = stream
        self._on_data: OnData = _ignored
        self._on_taken = self._on_lost = _nothing
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._reading: asyncio.Task[None] | None = None
        self.read_bytes = READ_BYTES
        self.straight: Callable[[bytes], int] | None = None
        """A stream has none: what it is given it may keep, and of TLS the bytes are not those of the socket."""
        self.unsent_bytes = 0

    def start(
        self, on_data: Callable[[bytes], None], on_taken: Callable[[], None], on_lost: Callable[[], None]
    ) -> None:
        """See `Carrier`."""
        self._on_data, self._on_taken, self._on_lost = on_data, on_taken, on_lost
        # Also while nothing is read, the end has to be heard of.
        self._stream.set_close_callback(self._may_read.set)
        self._reading = asyncio.get_running_loop().create_task(self._read())

    def write(self, data: bytes) -> None:
        """See `Carrier`. In chunks, so that it shows whether the other side takes anything."""
        view = memoryview(data)
        try:
            for start in range(0, len(view), CHUNK_BYTES):
                chunk = view[start : start + CHUNK_BYTES]
                written = self._stream.write(chunk)
                if not self._stream.writing():
                    continue
                self.unsent_bytes += len(chunk)
                written.add_done_callback(partial(self._taken, len(chunk)))
        except StreamClosedError:
            pass  # `_read` hears of it

    def finish(self) -> None:
        """See `Carrier`: there is no closing of one direction, so it is cut when everything is taken."""
        if not self.unsent_bytes or self._stream.closed():
            self._stream.close()
        else:
            self._stream.write(b"").add_done_callback(lambda written: self._stream.close())

    def close(self) -> None:
        """See `Carrier`."""
        self._stream.close()

    def pause(self) -> None:
        """See `Carrier`."""
        if not self._stream.closed():
            self._may_read.clear()

    def resume(self) -> None:
        """See `Carrier`."""
        self._may_read.set()

    def has_ended(self) -> bool:
        """See `Carrier`."""
        return self._stream.closed() or _has_ended(self._stream.socket)

    async def ended(self) -> None:
        """See `Carrier`."""
        if self._reading is not None:
            await asyncio.wait({self._reading})

    async def _read(self) -> None:
        try:
            while True:
                await self._may_read.wait()
                self._on_data(await self._stream.read_bytes(self.read_bytes, partial=True))
                await asyncio.sleep(0)  # what the stream has read already is not handed out in one turn
        except StreamClosedError:
            pass
        finally:
            self._on_lost()

    def _taken(self, size: int, written: asyncio.Future[None]) -> None:
        if written.cancelled() or written.exception() is not None:
            return  # closed
        self.unsent_bytes -= size
        self._on_taken()


async def taken_from(stream: IOStream) -> Carrier:
    """Take a connection from Tornado, once its handshake has been answered.

    Raises:
        StreamClosedError: It is gone.
    """
    while stream.writing():
        await stream.write(b"")
    if isinstance(stream, SSLIOStream) or not _watches_sockets():
        return StreamCarrier(stream)
    reading = asyncio.ensure_future(stream.read_bytes(_HANDSHAKE_BYTES, partial=True))
    early = reading.result() if reading.done() else b""
    if stream.closed():
        raise StreamClosedError
    socket = stream.socket.dup()
    stream.close()
    return SocketCarrier(socket, early)


def _has_ended(socket: Socket) -> bool:
    """Whether the other side of a socket sends no more, whatever is unread."""
    if not hasattr(select, "poll"):
        return False  # Windows
    poll = select.poll()
    poll.register(socket, _ENDS)
    return bool(poll.poll(0))


def _watches_sockets() -> bool:
    """Whether this loop has `add_reader`; the usual one of Windows has not."""
    return not type(asyncio.get_running_loop()).__name__.startswith("Proactor")


def _ignored(data: bytes) -> None:
    pass


def _nothing() -> None:
    pass
