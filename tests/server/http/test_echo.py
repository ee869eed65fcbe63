"""`/echo`; who may connect is asked in test_handshake.py."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tornado.httpclient import AsyncHTTPClient
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.server.hall import HANG_S
from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.http.echo import NO_UPGRADE
from wslive.server.settings import ServerSettings
from wslive.wire.close_codes import CloseCode


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server of this test's own."""
    server = Server(ServerSettings(port=0), MemoryLog())
    await server.start()
    yield server
    await server.stop()


def address(server: Server) -> str:
    return f"ws{server.url[4:]}/echo"


async def test_it_answers_each_text_in_order(server: Server) -> None:
    async with connect(address(server)) as socket:
        for text in ("Hello", "", "Ünïcödé 🗳"):
            await socket.send(text)
        assert [await socket.recv() for _ in range(3)] == [
            "Roger that! Hello",
            "Roger that! ",
            "Roger that! Ünïcödé 🗳",
        ]


async def test_it_answers_bytes_with_text(server: Server) -> None:
    async with connect(address(server)) as socket:
        await socket.send(b"Hello")
        assert await socket.recv() == "Roger that! Hello"
        await socket.send(b"\xff")
        assert await socket.recv() == "Roger that! \ufffd"


async def test_what_is_too_large_closes_the_connection_with_a_code(server: Server) -> None:
    async with connect(address(server)) as socket:
        await socket.send("x" * 16_384)
        assert len(await socket.recv()) == 16_384 + len("Roger that! ")
        await socket.send("x" * 16_385)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == CloseCode.FRAME_TOO_BIG


async def test_a_request_whose_upgrade_was_taken_away_is_told_so(server: Server) -> None:
    answer = await AsyncHTTPClient().fetch(f"{server.url}/echo", raise_error=False)
    assert answer.code == 426
    assert answer.headers["Upgrade"] == "websocket"
    assert answer.body.decode() == NO_UPGRADE


async def test_it_counts_as_a_connection(server: Server) -> None:
    async with connect(address(server)), connect(address(server)):
        assert server.connections == 2
    async with asyncio.timeout(HANG_S):
        while server.connections:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_at_the_servers_end_it_says_so() -> None:
    server = Server(ServerSettings(port=0), MemoryLog())
    await server.start()
    async with connect(address(server)) as socket:
        await socket.send("Hello")
        await socket.recv()
        await asyncio.gather(server.stop(), socket.wait_closed())
        assert socket.close_code == CloseCode.GOING_AWAY
