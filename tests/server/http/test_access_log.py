from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from tests.server.hall import Hall
from tests.server.line import turn

CODE = "SECRET"


def has_begun(coroutine: Any, name: str) -> bool:
    return coroutine.__name__ == name and inspect.getcoroutinestate(coroutine) == inspect.CORO_SUSPENDED


async def test_the_address_is_in_no_line(hall: Hall, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    for path in ("/ws", "/echo", "/api/rooms"):
        response = await hall.http(f"{path}?room={CODE}", method="PROPFIND", allow_nonstandard_methods=True)
        assert response.code == 405
    assert "405 PROPFIND SocketHandler" in caplog.text
    assert CODE not in caplog.text


async def test_a_request_that_the_end_of_the_server_cuts_off_is_no_failure(
    hall: Hall, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("DEBUG", logger="wslive")
    before = asyncio.all_tasks()
    # A refusal waits for as long as finding the room could have taken.
    asked = asyncio.ensure_future(hall.http("/api/rooms/QQQQQQ", method="DELETE", bearer="hk_wrong"))
    waiting: list[asyncio.Task[Any]] = []
    while not waiting:
        await turn()
        # One that has not begun yet would end without a word.
        waiting = [task for task in asyncio.all_tasks() - before if has_begun(task.get_coro(), "_execute")]
    waiting[0].cancel()
    await asyncio.wait(waiting)
    asked.cancel()
    lines = [record for record in caplog.records if "500 DELETE RoomHandler" in record.getMessage()]
    assert [line.levelname for line in lines] == ["DEBUG"]
