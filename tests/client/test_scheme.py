"""The wrong scheme is told, and nothing else is taken for it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import tornado.test

from tests.client.rooms import Hall
from wslive.client.connection import Connection
from wslive.client.http import fetch
from wslive.client.scheme import watched
from wslive.client.unreachable import CannotConnect
from wslive.core.errors import NotConnected
from wslive.server.app import Server

CERTIFICATES = Path(tornado.test.__file__).parent


@contextlib.asynccontextmanager
async def tls() -> AsyncIterator[str]:
    """Something that speaks TLS and drops whoever does not; yields the address that is wrong for it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "test.crt", CERTIFICATES / "test.key")

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context) as listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


async def test_joining_with_https_where_http_is_spoken_says_so(server: Server, hall: Hall):
    address = f"https{server.url[4:]}"
    told = f"The server at {address} speaks http, not https: use {server.url}"
    with pytest.raises(NotConnected) as refused:
        await Connection(address, hall.code).open(timeout_s=60)
    assert str(refused.value) == told
    with pytest.raises(NotConnected) as refused:
        await fetch(address, "/api/server", timeout_s=60)
    assert str(refused.value) == told


async def test_joining_with_http_where_https_is_spoken_says_so():
    async with tls() as address:
        told = f"The server at {address} speaks https, not http: use https{address[4:]}"
        with pytest.raises(NotConnected) as refused:
            await Connection(address, "K7M2QX").open(timeout_s=60)
        assert str(refused.value) == told
        with pytest.raises(NotConnected) as refused:
            await fetch(address, "/api/server", timeout_s=60)
        assert str(refused.value) == told


async def test_a_connection_that_is_dropped_without_tls_keeps_its_own_reason(server: Server):
    lost = asyncio.get_running_loop().create_future()
    lost.set_exception(ConnectionResetError("dropped"))
    with pytest.raises(ConnectionResetError):
        await watched(server.url, lost, 60)


async def test_what_takes_long_and_comes_after_all_is_taken(server: Server, unused_tcp_port: int):
    slow = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(watched(f"https://127.0.0.1:{unused_tcp_port}", slow, 60))
    asyncio.get_running_loop().call_later(1.2, slow.set_result, "here")
    assert await waiting == "here"
    wrong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(CannotConnect, match="speaks http, not https"):
        await watched(f"https{server.url[4:]}", wrong, 60)
    assert not wrong.cancelled()
