"""A person who costs little: a connection that joins, votes, and notes when what came. For load tests.

`wslive.client` keeps a replica, comes back, and remembers what was asked; a thousand of those in one process are busy
with themselves, and what is measured is the measuring. A thin person is one `asyncio.Protocol`: it takes whole frames
out of what has come, and decodes each different one once for everybody, since a fan-out sends the same bytes to all.
It never comes back: a connection that is lost is what a load test wants to hear of.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from wslive.client import passes
from wslive.client.socket import websocket_url
from wslive.core.errors import WsliveError
from wslive.wire import codec, messages
from wslive.wire.close_codes import CloseCode

_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEPT_MESSAGES = 256
"""How many different frames are remembered; the frames of one tick come to everybody within the next few."""


class NotIn(WsliveError):
    """Somebody did not get in, or was thrown out; the text says why, and is the same for everybody with that reason."""


class Ears:
    """What all thin people of a process share: whom they tell, and the frames that one of them has decoded."""

    def __init__(self, on_message: Callable[[ThinPerson, messages.ServerMessage], None]) -> None:
        """Tell `on_message` of each message that comes to somebody."""
        self.tell = on_message
        self._decoded: dict[bytes, messages.ServerMessage] = {}

    def understood(self, payload: bytes) -> messages.ServerMessage:
        """The message in a frame."""
        message = self._decoded.get(payload)
        if message is None:
            if len(self._decoded) >= _KEPT_MESSAGES:
                self._decoded.clear()
            message = self._decoded[payload] = codec.decode_server(payload)
        return message


class ThinPerson(asyncio.Protocol):
    """One connection.

    Attributes:
        joined: Done when the person is in the room; raises `NotIn` where that failed.
        lost: Why the connection has ended; empty while it has not, or where `close` ended it.
        offset: How far the person's view has come.
    """

    def __init__(self, ears: Ears, server: str, hello: messages.Hello) -> None:
        """Prepare; `open_thin` connects."""
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.joined.add_done_callback(_looked_at)
        self.lost = ""
        self.offset = 0
        self._ears = ears
        self._server = server
        self._hello = hello
        self._key = base64.b64encode(os.urandom(16))
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._is_upgraded = self._is_closing = False

    def send(self, message: messages.ClientMessage) -> None:
        """Send a message, if the connection is there."""
        self._send(0x81, codec.encode(message))

    def close(self) -> None:
        """Hang up."""
        self._is_closing = True
        if self._transport is not None:
            self._send(0x88, (1000).to_bytes(2, "big"))
            self._transport.close()

    # ── asyncio's side ────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        parts = urlsplit(websocket_url(self._server))
        headers = {
            "Host": parts.netloc,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": self._key.decode(),
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": messages.SUBPROTOCOL,
            **passes.header(self._server),
        }
        lines = [f"GET {parts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        transport.write("\r\n".join(lines).encode())

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        data = self._rest + data if self._rest else data
        if not self._is_upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            if not self._upgraded(head.decode("latin-1"), data):
                return
            self.send(self._hello)
        self._rest = self._frames(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Say why, where nobody has said so yet."""
        self._transport = None
        self._end("the connection was cut" + (" before its handshake was done" if not self._is_upgraded else ""))

    # ── frames ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _upgraded(self, head: str, body: bytes) -> bool:
        status, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        digest = hashlib.sha1(self._key + _ACCEPT_GUID, usedforsecurity=False).digest()
        if status.split(" ")[1:2] != ["101"]:
            code = " ".join(status.split(" ")[1:2])
            who = headers.get("server", "")
            said = (
                body.decode(errors="replace").strip()
                if headers.get("content-type", "").startswith("text/plain")
                else ""
            )
            by = f" by {who.split('/')[0]}" if who and not who.startswith("TornadoServer") else ""
            self._end(f"answered with HTTP {code}{by}" + (f": {said[:200]}" if said else ""))
        elif headers.get("sec-websocket-accept") != base64.b64encode(digest).decode():
            self._end("what answers is no WebSocket server")
        elif headers.get("sec-websocket-protocol") != messages.SUBPROTOCOL:
            self._end(f"what answers does not speak {messages.SUBPROTOCOL}")
        else:
            self._is_upgraded = True
        return self._is_upgraded

    def _frames(self, data: bytes) -> bytes:
        """Take whole frames; what is left of the last one is returned. wslive sends none in parts."""
        at, size = 0, len(data)
        while size - at >= 2:
            length, start = data[at + 1], at + 2
            if length >= 126:
                start += 2 if length == 126 else 8
                length = int.from_bytes(data[at + 2 : start], "big")
            if size < start + length:
                break
            payload = data[start : start + length]
            match data[at]:
                case 0x81:
                    self._message(payload)
                case 0x88:
                    self._end(_reason(int.from_bytes(payload[:2], "big")))
                case 0x89:
                    self._send(0x8A, payload)
            at = start + length
        return data[at:]

    def _message(self, payload: bytes) -> None:
        message = self._ears.understood(payload)
        match message:
            case messages.Welcome(position=position):
                self.offset = position.offset
                if not self.joined.done():
                    self.joined.set_result(None)
            case messages.Delta(to=to):
                self.offset = to
            case messages.Snapshot(position=position):
                self.offset = position.offset
            case messages.Refused(message=sentence) if not self.joined.done():
                self._end(sentence)
        self._ears.tell(self, message)

    def _send(self, first: int, payload: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        size = len(payload)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        mask = os.urandom(4)
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        masked = (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")
        self._transport.write(bytes((first,)) + length + mask + masked)

    def _end(self, why: str) -> None:
        if self._is_closing:
            why = ""
        elif not self.lost:
            self.lost = why
        if not self.joined.done():
            self.joined.set_exception(NotIn(self.lost or "closed"))
        if self._transport is not None:
            self._transport.close()


async def open_thin(ears: Ears, server: str, hello: messages.Hello, *, timeout_s: float) -> ThinPerson:
    """Connect and join.

    Raises:
        NotIn: With the reason.
    """
    parts = urlsplit(server)
    assert parts.hostname
    is_tls = parts.scheme == "https"
    person: ThinPerson | None = None

    def make() -> ThinPerson:
        nonlocal person
        person = ThinPerson(ears, server, hello)
        return person

    options: dict[str, Any] = {"ssl": ssl.create_default_context()} if is_tls else {}
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            await loop.create_connection(make, parts.hostname, parts.port or (443 if is_tls else 80), **options)
            assert person is not None
            await asyncio.shield(person.joined)
    except TimeoutError:
        reason = f"no answer within {timeout_s:g} s"
    except OSError as error:
        reason = (error.strerror or str(error) or type(error).__name__).lower()
        if isinstance(error, ConnectionRefusedError):
            reason = "connection refused"
    except asyncio.CancelledError:
        if person is not None:
            person.close()
        raise
    else:
        return person
    if person is not None:
        person.close()
    raise NotIn(reason)


def _reason(code: int) -> str:
    if code in set(CloseCode):
        return f"closed by the server ({code}): {CloseCode(code).sentence}"
    return f"closed ({code})" if code else "closed without a code"


def _looked_at(joined: asyncio.Future[None]) -> None:
    # Nobody asks those who are given up; asyncio would log their reasons.
    if not joined.cancelled():
        joined.exception()
