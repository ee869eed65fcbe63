"""People who cost little: `wslive.v1` on an asyncio transport, without a task for each. For halls of a thousand."""

from __future__ import annotations

import asyncio
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from wslive.core.events import Position
from wslive.wire.messages import SUBPROTOCOL, Ack, Refused, Welcome

_MASK = b"\0\0\0\0"
"""A legal key that leaves the payload as it is."""


class Plain(asyncio.Protocol):
    """One connection.

    Attributes:
        welcome: The welcome.
        acks, refusals: How many commands were accepted, and not.
        gaps: How many deltas did not continue what was there.
        is_lost: Whether the connection has ended.
    """

    def __init__(self, host: str, hello: dict[str, Any]) -> None:
        """Made by `join`."""
        self.welcome: Welcome | None = None
        self.acks = self.refusals = self.gaps = 0
        self.is_lost = False
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._host = host
        self._hello = hello
        self._rest = b""
        self._is_upgraded = False
        self._position: Position | None = None

    @classmethod
    async def join(cls, url: str, **hello: Any) -> Self:
        """Connect and say hello; returns when the welcome is there.

        Raises:
            ConnectionError: The connection was refused, or lost meanwhile.
        """
        place = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, person = await loop.create_connection(lambda: cls(place.netloc, hello), place.hostname, place.port)
        await person.welcomed
        return person

    @property
    def position(self) -> Position:
        """How far the view has come."""
        assert self._position is not None
        return self._position

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(
            (
                f"GET /ws HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
            ).encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take the frames that have come."""
        data = self._rest + data if self._rest else data
        at = 0
        if not self._is_upgraded:
            head, end, _ = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = data
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self._fail(ConnectionError(head.decode()))
                return
            self._is_upgraded = True
            at = len(head) + 4
            self.send({"type": "hello", **self._hello})
        while len(data) - at >= 2:
            size, start = data[at + 1], at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : start], "big")
            if start + size > len(data) or start > len(data):
                break
            self._take(data[at] & 0x0F, data[start : start + size])
            at = start + size
        self._rest = data[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self.is_lost = True
        self._fail(ConnectionError("the connection was lost before the welcome"))

    def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self._frame(1, msgspec.json.encode(message))

    def leave(self, *, politely: bool) -> None:
        """Close, or cut the connection without a word."""
        if politely:
            self._frame(8, (1000).to_bytes(2, "big"))
            self._transport.close()
        else:
            self._transport.abort()

    def _frame(self, opcode: int, payload: bytes) -> None:
        if self._transport.is_closing():
            return
        size = len(payload)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        self._transport.write(bytes((0x80 | opcode,)) + length + _MASK + payload)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self._frame(10, payload)
        if opcode != 1:
            return
        match _tag(payload):
            case "delta":
                delta = _delta(payload)
                self.gaps += delta.from_ > self.position.offset
                if delta.to > self.position.offset:
                    self._position = Position(self.position.epoch, delta.to, delta.chain)
            case "ack":
                self.acks += msgspec.json.decode(payload, type=Ack).offset > 0
            case "refused":
                self.refusals += 1
                self._fail(ConnectionError(msgspec.json.decode(payload, type=Refused).message))
            case "welcome":
                self.welcome = msgspec.json.decode(payload, type=Welcome)
                self._position = self.welcome.position
                self.welcomed.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self.welcomed.done():
            self.welcomed.set_exception(error)


class _Tagged(msgspec.Struct):
    type: str


class _Moved(msgspec.Struct, tag="delta"):
    from_: int = msgspec.field(name="from")
    to: int
    chain: str


_delta = msgspec.json.Decoder(_Moved).decode
_decode_tag = msgspec.json.Decoder(_Tagged).decode


def _tag(payload: bytes) -> str:
    return _decode_tag(payload).type
