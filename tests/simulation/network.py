"""A network in memory: late, slow, partitioned, cut at any byte; and below it all TCP's promise: in order, and once.

Both ends are the real ones: the client's link gets what looks like its socket, the server's outbox what looks like a
carrier with a small kernel buffer. The two ends of a cut connection hear of it at different times, and one of
them may go on speaking into it for long. What is sent again goes over another connection, and the first copy of it may
arrive after the second.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from wslive.client.socket import CLOSE_WAIT_S
from wslive.client.unreachable import CannotConnect
from wslive.server.connection import Connection
from wslive.server.settings import ServerSettings
from wslive.server.websocket.outbox import Flusher, Outbox

REPEATABLE_DOWN = (b'{"type":"delta"', b'{"type":"ack"', b'{"type":"presence"')
CLOSE_TIMEOUT_S = 5.0
"""How long a server waits for the answer to its close frame."""


class Accepting(Protocol):
    """A server, as the network sees it."""

    settings: ServerSettings
    flusher: Flusher

    def accept(self, end: ServerEnd) -> Connection:
        """A connection was opened."""
        ...


class Pipe:
    """One direction of a connection: what is put in comes out in order, later, unless it is cut."""

    def __init__(self, rng: random.Random, latency_s: float, deliver: Callable[[Any], None]) -> None:
        self.latency_s = latency_s
        self._rng = rng
        self._deliver = deliver
        self._items: deque[Any] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._is_held = self._is_cut = False

    def put(self, item: Any) -> None:
        """Send something."""
        if not self._is_cut:
            self._items.append(item)
            self._schedule()

    def hold(self) -> None:
        """Let nothing through from now on."""
        self._is_held = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def release(self) -> None:
        """Let everything through again."""
        self._is_held = False
        self._schedule()

    def cut(self) -> None:
        """Lose what is on its way, and all that follows."""
        self.hold()
        self._is_cut = True
        self._items.clear()

    def _schedule(self) -> None:
        if self._timer is None and self._items and not self._is_held:
            delay_s = self._rng.uniform(0, 2 * self.latency_s)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        for _ in range(self._rng.randint(1, len(self._items))):
            if self._items and not self._is_held:  # what arrives may be what cuts it
                self._deliver(self._items.popleft())
        self._schedule()


class Window:
    """What the server's outbox writes to: a socket whose kernel buffer is small, and what waits for it."""

    def __init__(self, transmit: Callable[[bytes], None], window_bytes: int, on_close: Callable[[], None]) -> None:
        self.unsent_bytes = 0
        self.straight: Callable[[bytes], int] | None = None
        self.on_taken: Callable[[], None] = lambda: None
        self._transmit = transmit
        self._free_bytes = window_bytes
        self._on_close = on_close
        self._waiting: deque[bytes] = deque()
        self._is_closed = False
        self._then: Callable[[], None] | None = None

    def write(self, data: bytes) -> None:
        """Send what fits; the rest waits."""
        if not self._is_closed:
            self._waiting.append(data)
            self.unsent_bytes += len(data)
            self._pump()

    def arrived(self, size: int) -> None:
        """The other side has taken so many bytes."""
        self._free_bytes += size
        if self._waiting:
            self._pump()
            if not self._is_closed:
                self.on_taken()

    def finish(self, then: Callable[[], None]) -> None:
        """Call `then` once everything written has been taken: the place of a close frame."""
        self._then = then
        self._pump()

    def close(self) -> None:
        """Cut it."""
        if not self._is_closed:
            self._is_closed = True
            self._waiting.clear()
            self.unsent_bytes = 0
            self._on_close()

    def _pump(self) -> None:
        while self._waiting and self._free_bytes and not self._is_closed:
            data = self._waiting.popleft()
            taken = data[: self._free_bytes]
            self._free_bytes -= len(taken)
            self.unsent_bytes -= len(taken)
            self._transmit(taken)
            if len(taken) < len(data):
                self._waiting.appendleft(data[len(taken) :])
        if self._then is not None and not self._waiting and not self._is_closed:
            then, self._then = self._then, None
            then()


class ServerEnd:
    """What a server's handler offers to its connection."""

    def __init__(self, window: Window, down: Pipe, server: Accepting, gone: Callable[[], None]) -> None:
        self._window = window
        self._down = down
        self._server = server
        self._gone = gone

    def outbox(self, *, on_drained: Callable[[], None], on_full: Callable[[], None]) -> Outbox:
        """The real one, over our window."""
        window: Any = self._window
        outbox = Outbox(window, self._server.flusher, max_bytes=self._server.settings.max_outbox_bytes)
        outbox.on_drained, outbox.on_full = on_drained, on_full
        self._window.on_taken = outbox.taken
        return outbox

    def close(self, code: int, reason: str) -> None:
        """Send a close frame after everything else."""
        self._window.finish(lambda: self._down.put(int(code)))
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self._gone)


class Wire:
    """One connection: the client's socket at one end, the server's handler at the other.

    Attributes:
        is_open: Whether either end still holds it.
    """

    def __init__(
        self,
        rng: random.Random,
        server: Accepting,
        heard: Callable[[bytes], None],
        on_frame: Callable[[str | bytes], None],
    ) -> None:
        latency_s = rng.choice([0.001, 0.02, 0.2])
        self._rng = rng
        self._heard = heard
        self._on_frame = on_frame
        self._up = Pipe(rng, latency_s, self._at_server)
        self._down = Pipe(rng, latency_s, self._at_client)
        self._window = Window(self._down.put, rng.choice([200, 2_000, 100_000]), self.server_gone)
        self._bytes = b""
        self._code: int | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_server_there = True
        self._connection = server.accept(ServerEnd(self._window, self._down, server, self.server_gone))
        self._connection.opened()

    @property
    def is_open(self) -> bool:
        """Whether either end still holds it."""
        return self._is_server_there or not self._closed.done()

    # ── what happens to it ────────────────────────────────────────────────────────────────────────────────────

    def partition(self) -> None:
        """Let nothing through, in either direction or in one."""
        for pipe in self._rng.choice([(self._up,), (self._down,), (self._up, self._down)]):
            pipe.hold()

    def heal(self) -> None:
        """Let everything through."""
        self._up.release()
        self._down.release()

    def slow(self, latency_s: float) -> None:
        """From now on everything to the client takes about so long."""
        self._down.latency_s = latency_s

    def cut(self, within_s: float = 3.0) -> None:
        """Cut it; each end hears of it some time later, and what was under way to the server may still arrive."""
        loop = asyncio.get_running_loop()
        self._down.cut()
        if self._rng.random() < 0.5:
            self._up.cut()
        loop.call_later(self._rng.uniform(0, within_s), self._client_gone, None)
        loop.call_later(self._rng.uniform(0, within_s), self.server_gone)

    def lag(self, within_s: float) -> None:
        """What the client says stays on its way, until it has come back by another connection; then it arrives."""
        loop = asyncio.get_running_loop()
        left_s = self._rng.uniform(0, within_s)
        late_s = left_s + self._rng.uniform(0, within_s)
        self._up.hold()
        loop.call_later(left_s, self._leave)
        loop.call_later(late_s, self._up.release)
        loop.call_later(late_s + self._rng.uniform(1, within_s), self.server_gone)

    def _leave(self) -> None:
        self._down.cut()
        self._client_gone(None)

    def server_gone(self) -> None:
        """The server's end is no more."""
        if self._is_server_there:
            self._is_server_there = False
            self._up.cut()
            self._window.close()
            self._connection.lost()
            self._down.put(None)

    def _client_gone(self, code: int | None) -> None:
        if not self._closed.done():
            self._code = code
            self._closed.set_result(None)
            self._down.cut()

    # ── the client's end: what `client.socket.Socket` is ──────────────────────────────────────────────────────

    def send(self, frame: bytes) -> None:
        """Send a text frame."""
        if not self._closed.done():
            self._up.put(frame)

    async def closed(self) -> int | None:
        """Wait for the end."""
        await asyncio.shield(self._closed)
        return self._code

    def drop(self) -> None:
        """Begin to close."""
        self._up.put(None)
        asyncio.get_running_loop().call_later(self._rng.uniform(0, CLOSE_WAIT_S), self._client_gone, None)

    async def close(self) -> None:
        """Close, and wait for it."""
        self.drop()
        await asyncio.shield(self._closed)

    def _at_client(self, data: bytes | int | None) -> None:
        if not isinstance(data, bytes):
            self._client_gone(data)
            return
        self._window.arrived(len(data))
        self._bytes += data
        while (frame := self._next_frame()) is not None and not self._closed.done():
            times = 2 if frame.startswith(REPEATABLE_DOWN) and self._rng.random() < 0.05 else 1
            for _ in range(times):
                self._heard(frame)
                self._on_frame(frame.decode())

    def _next_frame(self) -> bytes | None:
        """Take one whole WebSocket text frame off what has come."""
        if len(self._bytes) < 2:
            return None
        assert self._bytes[0] == 0x81, "the stream is no row of text frames"
        size, start = self._bytes[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(self._bytes) < start:
                return None
            size = int.from_bytes(self._bytes[2:start], "big")
        if len(self._bytes) < start + size:
            return None
        frame, self._bytes = self._bytes[start : start + size], self._bytes[start + size :]
        return frame

    def _at_server(self, frame: bytes | None) -> None:
        if frame is None:
            self.server_gone()
        else:
            self._connection.received(frame.decode())


class Network:
    """All connections, and the one address.

    Attributes:
        server: Who listens there; None: nobody.
        is_partitioned: Whether nobody reaches it.
        wires: The open connections.
    """

    def __init__(self, seed: int) -> None:
        self.server: Accepting | None = None
        self.is_partitioned = False
        self._seed = seed
        self._opened = 0
        self._wires: list[Wire] = []

    @property
    def wires(self) -> list[Wire]:
        """The open connections."""
        self._wires = [wire for wire in self._wires if wire.is_open]
        return self._wires

    async def open_socket(
        self, heard: Callable[[bytes], None], on_frame: Callable[[str | bytes], None], timeout_s: float
    ) -> Wire:
        """What `client.socket.open_socket` does."""
        self._opened += 1
        rng = random.Random(f"{self._seed}/wire {self._opened}")  # of its own, so that others change nothing for it
        await asyncio.sleep(rng.uniform(0, 0.2))
        if self.is_partitioned:
            await asyncio.sleep(timeout_s)
            raise CannotConnect("no answer")
        if self.server is None:
            raise CannotConnect("nobody listens there", is_definite=True)
        wire = Wire(rng, self.server, heard, on_frame)
        self._wires.append(wire)
        return wire
