"""One WebSocket: how it opens, how it ends, and what it leaves behind."""

import asyncio
import base64
import hashlib

import pytest

from tests.client.rooms import Peer, scripted, welcome
from wslive.client import socket as client_socket
from wslive.client.socket import open_socket, websocket_url
from wslive.client.unreachable import CannotConnect
from wslive.wire.codec import encode
from wslive.wire.messages import Hello


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("http://127.0.0.1:8765", "ws://127.0.0.1:8765/ws"),
        ("http://[::1]:8765/", "ws://[::1]:8765/ws"),
        ("https://hub.example.org/user/ada/wslive", "wss://hub.example.org/user/ada/wslive/ws"),
    ],
)
def test_the_address_follows_from_the_servers(server: str, url: str):
    assert websocket_url(server) == url


@pytest.mark.parametrize("server", ["", "K7M2QX", "127.0.0.1:8765", "ws://127.0.0.1", "http://"])
def test_what_is_no_address_says_how_one_looks(server: str):
    with pytest.raises(CannotConnect, match="it looks like http") as told:
        websocket_url(server)
    assert told.value.is_final


async def test_frames_come_by_a_callback_and_the_close_code_at_the_end():
    async def greet(peer: Peer) -> None:
        await peer.hello()
        await peer.send(welcome(1))
        await peer.close(4001)

    frames: list[str | bytes] = []
    async with scripted(greet) as url:
        socket = await open_socket(url, frames.append, timeout_s=5)
        socket.send(encode(Hello(room="K7M2QX")))
        assert await socket.closed() == 4001
        socket.send(b"nobody hears this, and nobody needs to")
        await socket.close()
    assert len(frames) == 1


async def test_a_peer_that_does_not_answer_the_close_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client_socket, "CLOSE_WAIT_S", 0.05)
    lost = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.partition(": ")[2] for line in request.split("\r\n") if "Sec-Websocket-Key" in line)
        accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
        writer.write(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: wslive.v1\r\n\r\n".encode()
        )
        while await reader.read(1024):
            pass
        lost.set()
        writer.close()

    async with await asyncio.start_server(deaf, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        socket = await open_socket(f"http://127.0.0.1:{port}", lambda frame: None, timeout_s=5)
        await socket.close()
        await lost.wait()


async def test_an_opening_that_nobody_waits_for_is_closed_when_it_succeeds():
    opened = asyncio.Event()

    async def wait_for_the_end(peer: Peer) -> None:
        opened.set()
        await peer.closed()

    async with scripted(wait_for_the_end) as url:
        opening = asyncio.create_task(open_socket(url, lambda frame: None, timeout_s=5))
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        # The server sees it come and go; a socket left open would keep the script waiting for ever.
        await opened.wait()
