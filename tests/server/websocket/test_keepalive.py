from __future__ import annotations

import asyncio

from tests.server.line import HANG_S
from wslive.server.websocket.keepalive import AT_ONCE, Keepalive


class Asked:
    """Is asked, and there a number of times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.asked = 0
        self.done = asyncio.Event()

    def ask(self) -> bool:
        self.asked += 1
        self.left -= 1
        if not self.left:
            self.done.set()
        return self.left > 0


async def all_done(connections: list[Asked]) -> None:
    async with asyncio.timeout(HANG_S):
        await asyncio.gather(*(connection.done.wait() for connection in connections))


async def test_each_is_asked_until_it_is_over_and_not_again():
    keepalive = Keepalive(0.002)
    connections = [Asked(times) for times in (1, 2, 5)]
    for connection in connections:
        keepalive.watch(connection)
    await all_done(connections)
    assert [connection.asked for connection in connections] == [1, 2, 5]
    late = Asked(1)
    keepalive.watch(late)  # after nobody was left
    await all_done([late])


async def test_a_hall_is_asked_in_slices():
    keepalive = Keepalive(0.001)
    connections = [Asked(1) for _ in range(2 * AT_ONCE + 1)]
    turns = 0

    async def count() -> None:
        nonlocal turns
        while any(not connection.asked for connection in connections):
            if any(connection.asked for connection in connections):
                turns += 1
            await asyncio.sleep(0)

    for connection in connections:
        keepalive.watch(connection)
    await asyncio.wait_for(count(), HANG_S)
    assert turns >= 2


async def test_nobody_is_asked_where_nobody_is_to_be():
    keepalive = Keepalive(0)
    keepalive.watch(Asked(1))
    assert keepalive._timer is None
