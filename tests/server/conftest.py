"""Rooms on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.server import line
from tests.server.hall import Hall
from tests.server.line import Line
from wslive.eventlog.base import EventLog
from wslive.eventlog.memory import MemoryLog

OpenHall = Callable[..., Awaitable[Hall]]
OpenLine = Callable[..., Line]


@pytest.fixture
async def open_hall() -> AsyncIterator[OpenHall]:
    """Opens halls; they are closed at the end."""
    halls: list[Hall] = []

    async def open(log: EventLog | None = None, **settings: Any) -> Hall:
        hall = await Hall.open(log or MemoryLog(), **settings)
        halls.append(hall)
        return hall

    yield open
    for hall in halls:
        await hall.close()


@pytest.fixture
async def hall(open_hall: OpenHall) -> Hall:
    """A room on a server with its usual settings."""
    return await open_hall()


@pytest.fixture
async def open_line() -> AsyncIterator[OpenLine]:
    """Opens lines; they are closed at the end."""
    lines: list[Line] = []

    def open(max_bytes: int = 1024, kind: str = "socket") -> Line:
        lines.append(line.open_line(max_bytes, kind))
        return lines[-1]

    yield open
    for opened in lines:
        opened.carrier.close()
        await opened.carrier.ended()
        opened.other.close()
