"""Our Python client before a server that breaks the rules: it lets go quietly, and comes back to one that does not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest

from tests.client.rooms import Soon, welcome
from tests.websocket.raw import Opcode, accept_of, close, frame
from wslive.client import socket as client_socket
from wslive.client.connection import Connection
from wslive.client.socket import MAX_MESSAGE_BYTES, open_socket
from wslive.wire.codec import encode

HANG_S = 20.0


def said(opcode: int, payload: bytes = b"", **options: object) -> bytes:
    """A server's frame: not masked."""
    return frame(opcode, payload, mask=None, **options)  # type: ignore[arg-type]


def goodbye(payload: bytes) -> bytes:
    """A close frame of a server."""
    return said(Opcode.CLOSE, payload)


VIOLATIONS = {
    "RSV1 without an extension": said(Opcode.TEXT, b"{}", reserved=4),
    "RSV2": said(Opcode.TEXT, b"{}", reserved=2),
    "RSV3 in a ping": said(Opcode.PING, reserved=1),
    "opcode 3": said(3, b"{}"),
    "opcode 11": said(11),
    "opcode 15": said(15, b"*"),
    "a fragment of nothing": said(Opcode.CONTINUATION, b"{}"),
    "a text within a text": said(Opcode.TEXT, b"{", is_final=False) + said(Opcode.TEXT, b"{}"),
    "a ping in fragments": said(Opcode.PING, b"*", is_final=False),
    "a ping of 126 bytes": said(Opcode.PING, b"*" * 126),
    "a close of 126 bytes": said(Opcode.CLOSE, b"\x03\xe8" + b"*" * 124),
    "a text that is no UTF-8": said(Opcode.TEXT, b"\xff"),
    "a text that ends within a character": said(Opcode.TEXT, "é".encode()[:1]),
    "fragments that are no UTF-8": said(Opcode.TEXT, b"\xc3", is_final=False) + said(Opcode.CONTINUATION, b"\x28"),
    "a message that is too large": said(Opcode.TEXT, claims=MAX_MESSAGE_BYTES + 1),
    "a length of 2 to the 62": said(Opcode.TEXT, claims=1 << 62),
    "a length of 2 to the 63": said(Opcode.TEXT, claims=1 << 63),
    "half a close code": goodbye(b"*"),
    "a close code that nobody may send": goodbye(b"\x03\xed"),
    "a close code of 0": goodbye(b"\0\0"),
    "a close code of 65535": goodbye(b"\xff\xff"),
    "a reason that is no UTF-8": goodbye(b"\x03\xe8\xff\xfe"),
    "a reason that ends within a character": goodbye(b"\x03\xe8\xe2\x82"),
}
"""Each ends the connection."""

CUT = {
    "nothing": b"",
    "half a header": said(Opcode.TEXT, b"*" * 200)[:1],
    "half a length": said(Opcode.TEXT, b"*" * 200)[:3],
    "half a payload": said(Opcode.TEXT, b"*" * 200)[:100],
    "half a message": said(Opcode.TEXT, b"{", is_final=False),
    "an answer before it was asked": b"HTTP/1.1 200 OK\r\n\r\n",
}
"""After each the server is gone."""

NONSENSE = [
    b"",
    b"\0",
    b"null",
    b"[]",
    b"{}",
    b'{"type":7}',
    b'{"type":"unknown"}',
    b'{"type":"welcome"}',
    b'{"type":"delta","from":1e999,"to":2,"chain":"","ops":[]}',
    b'{"type":"delta","from":1,"to":2,"chain":"","ops":{}}',
    b'{"type":"delta","from":1,"to":2,"chain":"","ops":[["set"]]}',
    b'{"type":"ack","ref":"","offset":' + b"9" * 5000 + b"}",
    b'{"type":"presence","online":-1e400}',
    b'{"type":"pong","n":"\\ud800"}',
    b"[" * 10_000,
    b'{"a":' * 10_000,
]
"""Texts that are no messages: they are passed over, and told in the log."""


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these servers answers a close."""
    monkeypatch.setattr(client_socket, "CLOSE_WAIT_S", 0.01)


class Script:
    """A server that sends these bytes when the client has said something: the first to the first, and so on."""

    def __init__(self, *conversations: bytes, goes: bool = False) -> None:
        self._conversations = [*conversations]
        self._goes = goes
        self.connections = 0
        self.ended = asyncio.Event()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.ended.clear()
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(
            line.partition(": ")[2] for line in request.split("\r\n") if line.lower().startswith("sec-websocket-k")
        )
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: wslive.v1\r\n\r\n" % accept_of(key).encode()
        )
        await reader.read(1)
        writer.write(self._conversations[min(self.connections, len(self._conversations) - 1)])
        self.connections += 1
        with contextlib.suppress(ConnectionError):
            if not self._goes:
                while await reader.read(65536):
                    pass
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.ended.set()


@contextlib.asynccontextmanager
async def listening(script: Script) -> AsyncIterator[str]:
    async with await asyncio.start_server(script.handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await script.ended.wait()


@pytest.mark.parametrize("sent", VIOLATIONS.values(), ids=VIOLATIONS)
async def test_a_violation_ends_the_connection_and_is_no_message(sent: bytes, caplog: pytest.LogCaptureFixture):
    frames: list[str | bytes] = []
    async with asyncio.timeout(HANG_S), listening(Script(sent)) as url:
        socket = await open_socket(url, frames.append, timeout_s=HANG_S)
        socket.send(b"{}")
        await socket.closed()
        await socket.close()
    assert frames == []
    assert caplog.text == ""


@pytest.mark.parametrize("sent", CUT.values(), ids=CUT)
async def test_a_server_that_is_gone_in_the_middle_is_gone(sent: bytes, caplog: pytest.LogCaptureFixture):
    frames: list[str | bytes] = []
    async with asyncio.timeout(HANG_S), listening(Script(sent, goes=True)) as url:
        socket = await open_socket(url, frames.append, timeout_s=HANG_S)
        socket.send(b"{}")
        assert await socket.closed() is None
        await socket.close()
    assert frames == []
    assert caplog.text == ""


@pytest.mark.parametrize("sent", [*VIOLATIONS.values(), *map(close, (1000, 1011, 3000, 4000))])
async def test_after_a_violation_a_connection_comes_back(sent: bytes, caplog: pytest.LogCaptureFixture):
    good = said(Opcode.TEXT, encode(welcome(1)))
    script = Script(good + sent, good)
    async with asyncio.timeout(HANG_S), listening(script) as url:
        connection = Connection(url, "K7M2QX", name="Ada", rng=Soon())
        await connection.open()
        while script.connections < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await connection.close()
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


async def test_texts_that_are_no_messages_are_passed_over(caplog: pytest.LogCaptureFixture):
    texts = b"".join(said(Opcode.TEXT, text) for text in NONSENSE)
    welcomes = said(Opcode.TEXT, encode(welcome(1)))
    async with asyncio.timeout(HANG_S), listening(Script(texts + welcomes + texts)) as url:
        connection = Connection(url, "K7M2QX", name="Ada", rng=Soon())
        await connection.open()
        assert connection.replica.offset == 1
        await connection.close()
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert all("was not understood" in record.message for record in caplog.records)
