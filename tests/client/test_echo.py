import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import tornado.test
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from websockets.asyncio.server import ServerConnection, serve

from wslive.client.echo import NoAnswer, base_url, open_echo
from wslive.core.errors import NotConnected
from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings

CERTIFICATES = Path(tornado.test.__file__).parent


async def why_not(address: str, timeout_s: float = 5) -> str:
    """The sentence with which no connection is made."""
    with pytest.raises(NotConnected) as refused:
        await open_echo(address, timeout_s)
    return str(refused.value)


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("https://live.example.org/rooms/", "https://live.example.org/rooms"),
        ("http://192.168.1.7:8765/r/K7M2QX", "http://192.168.1.7:8765"),
        ("https://live.example.org/rooms/r/K7M2QX/screen", "https://live.example.org/rooms"),
        ("ws://127.0.0.1:8765/echo", "http://127.0.0.1:8765"),
        ("wss://live.example.org/rooms/ws", "https://live.example.org/rooms"),
    ],
)
def test_what_people_have_at_hand_leads_to_the_server(address: str, base: str) -> None:
    assert base_url(address) == base


@pytest.mark.parametrize("address", ["", "ftp://example.org", "http://"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(NotConnected, match="is not the address of a server"):
        base_url(address)


async def test_an_answer_takes_some_time(server: Server) -> None:
    echo = await open_echo(server.url, 5)
    assert echo.url == f"ws{server.url[4:]}/echo"
    for _ in range(3):
        assert 0 < await echo.ask(5) < 5
    await echo.close()


async def test_where_nobody_listens_it_says_so(unused_tcp_port: int) -> None:
    address = f"http://127.0.0.1:{unused_tcp_port}"
    assert (await why_not(address)).startswith(f"No wslive server answers at {address}: connection refused.")


async def test_a_name_that_is_not_known_is_said() -> None:
    assert "the name nowhere.invalid is not known" in await why_not("http://nowhere.invalid:8765")


async def test_a_server_that_never_answers_is_said() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        assert "no answer within 0.2 s" in await why_not(f"http://127.0.0.1:{port}", 0.2)


class Somebody(RequestHandler):
    """Another program's page."""

    def get(self) -> None:
        self.finish("<h1>It works!</h1>")


@contextlib.asynccontextmanager
async def listening(application: Application, ssl_options: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A web server of somebody else's; yields its port."""
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(application, ssl_options=ssl_options)
    server.add_sockets(sockets)
    yield sockets[0].getsockname()[1]
    server.stop()
    await server.close_all_connections()


@pytest.mark.parametrize("path", ["/.*", "/elsewhere"], ids=["with a page for all", "with no such page"])
async def test_another_program_is_no_wslive_server(path: str) -> None:
    async with listening(Application([(path, Somebody)])) as port:
        sentence = await why_not(f"http://127.0.0.1:{port}")
    assert f"What answers at http://127.0.0.1:{port} is no wslive server (HTTP " in sentence


async def test_a_websocket_of_another_program_is_no_wslive_server() -> None:
    async def parrot(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    async with serve(parrot, "127.0.0.1", 0) as other:
        echo = await open_echo(f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}", 5)
        with pytest.raises(NotConnected, match="is no wslive server: it says 'ping 1'"):
            await echo.ask(5)
        await echo.close()


async def test_a_certificate_that_nobody_signed_is_said() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "test.crt", CERTIFICATES / "test.key")
    async with listening(Application([("/.*", Somebody)]), context) as port:
        sentence = await why_not(f"https://127.0.0.1:{port}")
    assert sentence.startswith(f"The certificate of https://127.0.0.1:{port} is not accepted: ")
    assert "SSL_CERT_FILE" in sentence


async def test_a_server_without_tls_is_said(server: Server) -> None:
    address = f"https{server.url[4:]}"
    assert await why_not(address) == f"The server at {address} speaks http, not https: use {server.url}"


async def test_a_server_with_tls_is_said() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "test.crt", CERTIFICATES / "test.key")
    async with listening(Application([("/.*", Somebody)]), context) as port:
        sentence = await why_not(f"http://127.0.0.1:{port}")
    assert sentence == f"The server at http://127.0.0.1:{port} speaks https, not http: use https://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def proxy(server: Server, change: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """A proxy that changes the head of each request on its way; yields its address."""

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: Callable[[bytes], bytes]
    ) -> None:
        while data := await reader.read(65536):
            writer.write(change(data))
            await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(reader, up_writer, change), pump(up_reader, writer, lambda data: data))

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


async def test_a_proxy_that_takes_the_upgrade_away_is_named(server: Server) -> None:
    def without_upgrade(data: bytes) -> bytes:
        lines = data.split(b"\r\n")
        return b"\r\n".join(line for line in lines if not line.lower().startswith((b"upgrade:", b"connection:")))

    async with proxy(server, without_upgrade) as address:
        sentence = await why_not(address)
    assert f"The server at {address} answers requests, but no WebSocket gets through to it (HTTP 426)." in sentence
    assert "proxy_set_header Upgrade $http_upgrade;" in sentence


async def test_a_proxy_that_names_itself_is_refused_in_the_servers_words(server: Server) -> None:
    def renamed(data: bytes) -> bytes:
        lines = data.split(b"\r\n")
        return b"\r\n".join(b"Host: live.example.org" if line.lower().startswith(b"host:") else line for line in lines)

    async with proxy(server, renamed) as address:
        sentence = await why_not(address)
    assert sentence.startswith(f"The server at {address} refuses: This server does not answer to the name")
    assert "--public-url" in sentence


async def test_a_full_server_is_not_a_proxy_in_the_way() -> None:
    server = Server(ServerSettings(port=0, max_connections=0), MemoryLog())
    await server.start()
    assert "refuses: This server has as many connections as it takes" in await why_not(server.url)
    await server.stop()


async def test_an_answer_that_does_not_come_is_no_end(server: Server) -> None:
    echo = await open_echo(server.url, 5)
    with pytest.raises(NoAnswer, match="no answer within 0 s"):
        await echo.ask(0)
    # The late answer to the first question is not taken for the answer to the second.
    assert await echo.ask(5) > 0
    await echo.close()


async def closing(end: Callable[[ServerConnection], Awaitable[None]]) -> str:
    """How the end of a connection is told."""

    async def handle(socket: ServerConnection) -> None:
        await socket.recv()
        await end(socket)

    async with serve(handle, "127.0.0.1", 0) as other:
        echo = await open_echo(f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}", 5)
        with pytest.raises(NotConnected) as ended:
            await echo.ask(5)
        await echo.close()
        return str(ended.value)


async def test_how_a_connection_ends_is_said() -> None:
    assert await closing(lambda socket: socket.close(4000)) == (
        "The server closed the connection (4000): The server is going down or restarting; come back in a moment."
    )
    assert await closing(lambda socket: socket.close(1013, "too busy")) == (
        "The connection was closed (1013): too busy"
    )

    async def cut(socket: ServerConnection) -> None:
        socket.transport.abort()

    assert await closing(cut) == "The connection broke off without a word."
