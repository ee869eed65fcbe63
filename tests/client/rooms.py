"""What tests of connections share: a room with people in it, a wire that can be cut, a server that follows a script."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from wslive.client.connection import Connection
from wslive.client.http import fetch_json
from wslive.core.events import Position
from wslive.core.roles import Role
from wslive.core.view import Op, View
from wslive.server.app import Server
from wslive.wire import messages
from wslive.wire.codec import decode_client, encode


class Soon(random.Random):
    """Draws the least of every range, so nobody waits; remembers the ranges."""

    def __init__(self) -> None:
        super().__init__(0)
        self.ranges: list[tuple[float, float]] = []

    def uniform(self, a: float, b: float) -> float:
        self.ranges.append((a, b))
        return a


class Never(random.Random):
    """Draws a day from every range: only who hurries comes back."""

    def uniform(self, a: float, b: float) -> float:
        return 86_400.0


class Hall:
    """A room on a server."""

    CHAT = 2

    def __init__(self, server: Server, code: str, host_key: str) -> None:
        self.server, self.code, self.host_key = server, code, host_key
        self._connections: list[Connection] = []

    @classmethod
    async def open(cls, server: Server) -> Hall:
        """Create a room."""
        made = await fetch_json(
            server.url, "/api/rooms", method="POST", body={"title": "Sorting 101"}, bearer=server.hosting_token
        )
        return cls(server, made["code"], made["host_key"])

    def connection(self, url: str | None = None, **options: Any) -> Connection:
        """One that is not open yet."""
        options.setdefault("rng", Soon())
        connection = Connection(url or self.server.url, self.code, **options)
        self._connections.append(connection)
        return connection

    async def join(self, name: str, url: str | None = None, **options: Any) -> Connection:
        """Somebody comes in."""
        connection = self.connection(url, name=name, **options)
        await connection.open()
        return connection

    async def host(self, **options: Any) -> Connection:
        """The host comes in."""
        connection = self.connection(role=Role.HOST, token=self.host_key, **options)
        await connection.open()
        return connection

    async def close(self) -> None:
        """Everybody goes."""
        for connection in self._connections:
            await connection.close()


def texts(connection: Connection) -> list[str]:
    """What the chat shows to somebody, in order."""
    return [line["text"] for line in connection.replica.view["activities"]["2"]["lines"].values()]


class Wire:
    """A TCP relay to a server, whose connections can be cut, or made deaf in the direction of the client."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.swallows_answers = False
        self.is_torn = False
        """Whether whoever comes is cut off at once."""
        self.accepted = 0

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def is_used(self) -> bool:
        """Whether anybody is connected through it."""
        return bool(self._writers)

    def cut(self) -> None:
        """Cut all connections, without a word."""
        for writer in self._writers:
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            if self.is_torn:
                raise ConnectionError
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except ConnectionError:
            writer.transport.abort()
            return
        self._writers |= {writer, up_writer}
        for source, sink, is_answer in ((reader, up_writer, False), (up_reader, writer, True)):
            task = asyncio.create_task(self._pump(source, sink, is_answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_answer: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                if not (is_answer and self.swallows_answers):
                    sink.write(data)
                    await sink.drain()
        sink.close()
        self._writers.discard(sink)


class Peer:
    """The server's end of one connection, in a script."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket

    async def receive(self) -> messages.ClientMessage:
        """The next message of the client."""
        return decode_client(await self._socket.recv())

    async def hello(self) -> messages.Hello:
        """The first message."""
        message = await self.receive()
        assert isinstance(message, messages.Hello)
        return message

    async def command(self) -> messages.Command:
        """A command."""
        message = await self.receive()
        assert isinstance(message, messages.Command)
        return message

    async def send(self, *sent: messages.ServerMessage) -> None:
        """Messages of the server."""
        for message in sent:
            await self._socket.send(encode(message).decode())

    async def send_text(self, text: str) -> None:
        """Anything."""
        await self._socket.send(text)

    async def send_at_once(self, sent: list[messages.ServerMessage]) -> None:
        """Many messages in one write."""
        self._socket.transport.write(b"".join(map(_frame, sent)))

    async def close(self, code: int) -> None:
        """Close with a code."""
        await self._socket.close(code)

    async def closed(self) -> None:
        """Wait until the client closes."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._socket.recv()


Script = Callable[[Peer], Awaitable[None]]


@contextlib.asynccontextmanager
async def scripted(*scripts: Script) -> AsyncIterator[str]:
    """A server whose first connection follows the first script, and so on; yields its base URL."""
    left = list(scripts)
    failed: list[BaseException] = []

    async def handle(socket: ServerConnection) -> None:
        if not left:
            await socket.close(4000)
            return
        try:
            await left.pop(0)(Peer(socket))
        except ConnectionClosed:
            pass
        except BaseException as error:
            failed.append(error)
            raise

    async with serve(handle, "127.0.0.1", 0, subprotocols=[Subprotocol(messages.SUBPROTOCOL)]) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    if failed:
        raise failed[0]
    assert not left, f"{len(left)} scripts were never begun"


def position(offset: int, epoch: str = "e") -> Position:
    """A position whose chain tells its offset."""
    return Position(epoch, offset, f"{offset:016x}")


def welcome(offset: int, view: View | None = None, ops: list[Op] | None = None) -> messages.Welcome:
    """A welcome: a snapshot with a view, a resume with operations."""
    return messages.Welcome(
        mode="resume" if ops is not None else "snapshot",
        position=position(offset),
        room="K7M2QX",
        actor="p_ada",
        role=Role.PARTICIPANT,
        presence=messages.Presence(1),
        token="token of Ada",
        ops=ops,
        view=None if ops is not None else view or {},
    )


def delta(before: int, after: int, *ops: Op) -> messages.Delta:
    """A delta over (before, after]."""
    return messages.Delta(before, after, position(after).chain, list(ops))


def _frame(message: messages.ServerMessage) -> bytes:
    payload = msgspec.json.encode(message)
    assert len(payload) < 126
    return bytes([0x81, len(payload)]) + payload
