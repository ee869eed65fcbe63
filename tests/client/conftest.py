"""A real server with a room, and the ends of connections to it."""

from collections.abc import AsyncIterator

import pytest

from tests.client.rooms import Hall
from wslive.eventlog.memory import MemoryLog
from wslive.server.app import Server
from wslive.server.settings import ServerSettings


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server on a port of its own, in this test's loop."""
    server = Server(ServerSettings(port=0), MemoryLog())
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def hall(server: Server) -> AsyncIterator[Hall]:
    """A room on it; connections made through it are closed at the end."""
    hall = await Hall.open(server)
    yield hall
    await hall.close()
