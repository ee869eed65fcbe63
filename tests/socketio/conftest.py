"""A real server with the gateway, and clients that write packets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.server.hall import Hall
from tests.socketio.client import Client
from wslive.eventlog.base import EventLog
from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings
from wslive.socketio.gateway import Gateway


class SocketIoHall(Hall):
    """A room on a server with the gateway."""

    gateway: Gateway

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._guests: list[Client] = []

    async def client(self, *, room: str | None = None, headers: dict[str, str] | None = None) -> Client:
        """A connection to it that has not come in yet."""
        client = await Client.open(self.server.url, room=room, headers=headers)
        self._guests.append(client)
        return client

    async def guest(self, auth: dict[str, Any] | None = None, *, headers: dict[str, str] | None = None) -> Client:
        """A client that has come in."""
        client = await self.client(headers=headers)
        assert await client.connect(auth) == {}
        return client

    async def close(self) -> None:
        """Everybody goes, and the server stops."""
        for guest in self._guests:
            await guest.close()
        await super().close()


OpenHall = Callable[..., Awaitable[SocketIoHall]]


@pytest.fixture
async def open_hall() -> AsyncIterator[OpenHall]:
    """Opens halls; they are closed at the end."""
    halls: list[SocketIoHall] = []

    async def open(log: EventLog | None = None, **settings: Any) -> SocketIoHall:
        gateway = Gateway()
        server = Server(ServerSettings(port=0, **settings), log or MemoryLog(), [gateway])
        await server.start()
        hall = SocketIoHall(server)
        await hall.make_room()
        hall.gateway = gateway
        gateway.default_code = hall.code
        halls.append(hall)
        return hall

    yield open
    for hall in halls:
        await hall.close()


@pytest.fixture
async def hall(open_hall: OpenHall) -> SocketIoHall:
    """A room on a server with its usual settings."""
    return await open_hall()
