"""A TCP connection with a carrier and an outbox at one end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from tornado.iostream import IOStream

from wslive.server.websocket.carrier import Carrier, SocketCarrier, StreamCarrier
from wslive.server.websocket.outbox import Flusher, Outbox

HANG_S = 30.0
BUFFER_BYTES = 8 * 1024
BIG = bytes(range(256)) * 8 * 1024
"""Two megabytes: far more than the kernel takes."""


class Line:
    """A TCP connection on loopback with small buffers: an outbox at one end, a plain socket at the other.

    Attributes:
        drained: How often the outbox said so.
        full: How often it said so.
        heard: What has come from the other end.
        lost: How often the carrier said so.
    """

    def __init__(self, carrier: Carrier, other: socket.socket, max_bytes: int) -> None:
        self.carrier = carrier
        self.other = other
        self.drained = self.full = self.lost = 0
        self.heard = b""
        self.changed = asyncio.Event()
        self.flusher = Flusher()
        self.outbox = Outbox(carrier, self.flusher, max_bytes=max_bytes)
        self.outbox.on_drained, self.outbox.on_full = self._on_drained, self._on_full
        carrier.start(self._on_data, self.outbox.taken, self._on_lost)

    def _on_data(self, data: bytes) -> None:
        self.heard += data
        self.changed.set()

    def _on_lost(self) -> None:
        self.outbox.lost()
        self.lost += 1
        self.changed.set()

    def _on_drained(self) -> None:
        self.drained += 1
        self.changed.set()

    def _on_full(self) -> None:
        self.full += 1
        self.changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(HANG_S):
            while not condition():
                await self.changed.wait()
                self.changed.clear()

    async def read(self, size: int) -> bytes:
        """Take so many bytes at the other end."""
        loop = asyncio.get_running_loop()
        parts: list[bytes] = []
        while size:
            part = await loop.sock_recv(self.other, min(size, 64 * 1024))
            assert part, "the line ended"
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    async def read_until(self, ending: bytes) -> bytes:
        """Take what comes up to and with `ending`."""
        found = b""
        while ending not in found:
            found += await self.read(1)
        return found

    async def read_all(self) -> bytes:
        """Take what comes until the end."""
        loop = asyncio.get_running_loop()
        parts: list[bytes] = []
        while part := await loop.sock_recv(self.other, 64 * 1024):
            parts.append(part)
        return b"".join(parts)

    async def jam(self, data: bytes = BIG) -> None:
        """Post more than the kernel takes."""
        self.outbox.post(data)
        await turn()
        assert not self.outbox.is_clear


async def turn() -> None:
    """Let everything run that is due, the flush of this turn and what follows from it."""
    for _ in range(4):
        await asyncio.sleep(0)


def open_line(max_bytes: int = 1024, kind: str = "socket") -> Line:
    """A new connection on loopback, with a carrier of this kind."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    other = socket.socket()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    other.connect(listener.getsockname())
    other.setblocking(False)
    accepted, _ = listener.accept()
    listener.close()
    accepted.setblocking(False)
    carrier: Carrier = SocketCarrier(accepted) if kind == "socket" else StreamCarrier(IOStream(accepted))
    return Line(carrier, other, max_bytes)
